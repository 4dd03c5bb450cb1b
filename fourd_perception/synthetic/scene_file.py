"""`scene.yaml`: a synthetic recording as plain numbers that a person can read and change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.synthetic.motion import Motion, Vector
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Texture
import numpy as np
import yaml

SCENE_FILE = 'scene.yaml'
Stamps = Mapping[str, tuple[int, ...]]
Parts = tuple[tuple[Body, ...], Vector, Mapping[str, CameraModel], Motion, Stamps]
_HEADER = """\
# A synthetic recording: metres, radians, seconds; colours in 0..1; stamps in nanoseconds.
# Motions are explained in fourd_perception/synthetic/motion.py, textures in textures.py.
"""


def write_scene(
    path: Path,
    bodies: Sequence[Body],
    light: Vector,
    cameras: Mapping[str, CameraModel],
    trajectory: Motion,
    stamps: Stamps,
) -> None:
    """Write the parts of a recording; missing directories are made."""
    plain = {
        'light': light,
        'trajectory': asdict(trajectory),
        'cameras': {name: _plain_camera(c, stamps[name]) for name, c in cameras.items()},
        'bodies': [asdict(body) for body in bodies],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(_lists(plain), sort_keys=False, default_flow_style=None, width=99)
    path.write_text(_HEADER + text)


def read_scene(path: Path) -> Parts:
    """The parts of a recording in the order of `write_scene`, every number as it was.

    Raises FileNotFoundError when the file is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist; `fourd-perception synth` writes a recording with one'
        )
    plain = _tuples(yaml.safe_load(path.read_text()))
    bodies = tuple(
        Body(**{**b, 'texture': Texture(**b['texture']), 'motion': Motion(**b['motion'])})
        for b in plain['bodies']
    )
    cameras = {name: _camera(name, c) for name, c in plain['cameras'].items()}
    stamps = {name: c['stamps'] for name, c in plain['cameras'].items()}
    return bodies, plain['light'], cameras, Motion(**plain['trajectory']), stamps


def _plain_camera(camera: CameraModel, stamps: tuple[int, ...]) -> dict[str, Any]:
    assert camera.intrinsics is not None and camera.base_from_camera is not None
    return {
        'frame_id': camera.frame_id,
        'size': (camera.width, camera.height),
        'intrinsics': camera.intrinsics.tolist(),
        'base_from_camera': camera.base_from_camera.tolist(),
        'stamps': stamps,
    }


def _camera(name: str, plain: dict[str, Any]) -> CameraModel:
    width, height = plain['size']
    return CameraModel(
        name=name,
        width=width,
        height=height,
        intrinsics=np.array(plain['intrinsics']),
        frame_id=plain['frame_id'],
        base_from_camera=np.array(plain['base_from_camera']),
    )


def _lists(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _tuples(value: Any) -> Any:
    """Lists as tuples, as frozen values hold them."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

"""Reading `rig.yaml`: calibrated cameras that stand in a room, and their videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourd_perception.geometry.poses import nearest_rotation, transform
import numpy as np
import yaml

ROTATION_TOLERANCE = 1e-3


class RigError(ValueError):
    """A rig file or one of its videos that cannot be used."""


@dataclass(frozen=True, eq=False)
class RigCamera:
    """One camera of a rig file.

    video:           path of its video
    width, height:   size of the video in pixels
    matrix:          camera matrix [3, 3] of the raw image
    distortion:      [5], plumb_bob k1 k2 p1 p2 k3
    lab_from_camera: [4, 4], metres; pose of the optical frame in the room
    """

    name: str
    video: Path
    width: int
    height: int
    matrix: np.ndarray
    distortion: np.ndarray
    lab_from_camera: np.ndarray


def read_rig(path: Path | str) -> list[RigCamera]:
    """The cameras of a rig file, in its order; videos are found beside it.

    Per camera: video, width, height, camera_matrix (9), distortion (5), rotation (9, row-major)
    and translation (3, metres) of the optical frame in the room. Raises RigError, naming the
    file, the camera and the entry.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except OSError as error:
        raise RigError(f'cannot read the rig file {path}: {error.strerror}') from error
    try:
        rig = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RigError(f'{path} is not YAML: {error}') from error
    cameras = rig.get('cameras') if isinstance(rig, Mapping) else None
    if not isinstance(cameras, Mapping) or not cameras:
        raise RigError(f'{path} names no cameras; it needs an entry `cameras` with one per name')
    return [_camera(path, str(name), entry) for name, entry in cameras.items()]


def _camera(path: Path, name: str, entry: Any) -> RigCamera:
    place = f'{path}, camera {name}'
    if not isinstance(entry, Mapping) or 'video' not in entry:
        raise RigError(f'{place}: the entry `video` is missing')
    video = path.parent / str(entry['video'])
    if not video.is_file():
        raise RigError(f'{place}: the video {video} does not exist')
    width, height = (_numbers(place, entry, key, 1)[0] for key in ('width', 'height'))
    rotation = _numbers(place, entry, 'rotation', 9).reshape(3, 3)
    nearest = nearest_rotation(rotation)
    if np.abs(nearest - rotation).max() > ROTATION_TOLERANCE:
        raise RigError(
            f'{place}: `rotation` is {np.abs(nearest - rotation).max():.2g} away from the '
            f'nearest rotation, allowed are {ROTATION_TOLERANCE:g}'
        )
    matrix = _numbers(place, entry, 'camera_matrix', 9).reshape(3, 3)
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise RigError(f'{place}: focal lengths {matrix[0, 0]:g}, {matrix[1, 1]:g} px; need > 0')
    return RigCamera(
        name=name,
        video=video,
        width=int(width),
        height=int(height),
        matrix=matrix,
        distortion=_numbers(place, entry, 'distortion', 5),
        lab_from_camera=transform(nearest, _numbers(place, entry, 'translation', 3)),
    )


def _numbers(place: str, entry: Mapping[str, Any], key: str, count: int) -> np.ndarray:
    """`count` finite numbers of one entry, float64 [count]."""
    if key not in entry:
        raise RigError(f'{place}: the entry `{key}` is missing')
    try:
        numbers = np.array(entry[key], float).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.size != count or not np.isfinite(numbers).all():
        raise RigError(f'{place}: `{key}` is {entry[key]!r}; it needs {count} finite numbers')
    return numbers

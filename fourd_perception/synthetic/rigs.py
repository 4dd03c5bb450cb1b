"""Rigs of 1-8 pinhole cameras of different sizes on a robot or a vehicle."""

from __future__ import annotations

import numpy as np

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.motion import rotation_from_rpy

# Columns: the optical axes (right, down, forward) in the base's axes (forward, left, up).
_BASE_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_SIZES = ((320, 240), (288, 216), (256, 192), (192, 256))
_NAMES = {
    1: ('front',),
    2: ('left', 'right'),
    3: ('front', 'left', 'right'),
    4: ('front_left', 'front_right', 'left', 'right'),
}
# Degrees to the left of straight ahead.
_HEADINGS = {1: (0,), 2: (4, -4), 3: (0, 35, -35), 4: (30, -30, 90, -90)}
# Half length and half width of the ring of cameras, and its height above the base, metres.
_MOUNTS = {'room': (0.6, 0.6, 1.0), 'street': (1.9, 1.0, 1.4)}
_FIELD_OF_VIEW = 84.0


def make_rig(kind: str, count: int) -> dict[str, CameraModel]:
    """Cameras by name, the reference first: forward for up to three, else a ring.

    Neighbours of a ring are at most 60 degrees apart and see 84 degrees, so that they overlap.
    """
    if kind not in _MOUNTS:
        raise ValueError(f'kind {kind!r} is unknown; take one of {tuple(_MOUNTS)}')
    if not 1 <= count <= 8:
        raise ValueError(f'a rig has 1 to 8 cameras, not {count}')
    headings = _HEADINGS.get(count) or tuple(
        _ring_heading(i, min(60.0, 360.0 / count)) for i in range(count)
    )
    names = _NAMES.get(count) or tuple(f'camera_{i}' for i in range(count))
    return {
        name: _camera(name, _SIZES[i % len(_SIZES)], np.radians(heading), kind, i)
        for i, (name, heading) in enumerate(zip(names, headings))
    }


def _ring_heading(number: int, spacing: float) -> float:
    """0, +1, -1, +2, -2 ... spacings from straight ahead."""
    return spacing * ((number + 1) // 2) * (1 if number % 2 else -1)


def _camera(
    name: str, size: tuple[int, int], heading: float, kind: str, number: int
) -> CameraModel:
    length, width, up = _MOUNTS[kind]
    # Small differences of height and pitch, as real mounts have: nothing is axis-aligned.
    height, pitch = up + 0.07 * (number % 3 - 1), np.radians(3.0 + 2.0 * (number % 2))
    side = width * np.sin(heading) if heading % np.pi else 0.0
    position = [length * np.cos(heading), side, height]
    focal = 0.5 * size[0] / np.tan(np.radians(0.5 * _FIELD_OF_VIEW))
    intrinsics = np.array(
        [
            [focal, 0.0, 0.5 * size[0] - 0.5 + 2.25],
            [0.0, 1.01 * focal, 0.5 * size[1] - 0.5 - 1.75],
            [0.0, 0.0, 1.0],
        ]
    )
    rotation = rotation_from_rpy(0.0, pitch, heading) @ _BASE_FROM_OPTICAL
    return CameraModel(
        name=name,
        width=size[0],
        height=size[1],
        intrinsics=intrinsics,
        frame_id=f'{name}_optical_frame',
        base_from_camera=transform(rotation, np.array(position)),
    )

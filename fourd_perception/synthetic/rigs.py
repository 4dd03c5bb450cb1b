"""Rigs of 1-8 pinhole cameras of different sizes on a robot or a vehicle."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.motion import rotation_from_rpy
import numpy as np

# Columns: the optical axes (right, down, forward) in the base's axes (forward, left, up).
_BASE_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
# Width and height in pixels; cameras take them in turn.
_SIZES = ((320, 240), (288, 216), (256, 192), (192, 256))
# Half length and half width of the ring of cameras, and its height above the base, metres.
_RINGS = {'room': (0.6, 0.6, 1.0), 'street': (1.9, 1.0, 1.4)}
_FIELD_OF_VIEW = 84.0
_WIDEST_SPACING = 60.0


@dataclass(frozen=True)
class _Mount:
    """Degrees to the left of straight ahead: where on the ring a camera sits, where it looks."""

    name: str
    bearing: float
    heading: float


_FORWARD = {
    1: (_Mount('front', 0, 0),),
    2: (_Mount('left', 60, 3), _Mount('right', -60, -3)),
    3: (_Mount('front', 0, 0), _Mount('left', 70, 30), _Mount('right', -70, -30)),
    4: (
        _Mount('front_left', 30, 30),
        _Mount('front_right', -30, -30),
        _Mount('left', 90, 90),
        _Mount('right', -90, -90),
    ),
}


def make_rig(kind: str, count: int) -> dict[str, CameraModel]:
    """Cameras by name, the reference first: looking forward for up to three, else a ring.

    Neighbours on a ring look at most 60 degrees apart and see 84 degrees, so that they overlap.
    """
    if not 1 <= count <= 8:
        raise ValueError(f'a rig has 1 to 8 cameras, not {count}')
    mounts = _FORWARD.get(count) or _ring(count)
    return {mount.name: _camera(mount, kind, number) for number, mount in enumerate(mounts)}


def _ring(count: int) -> tuple[_Mount, ...]:
    """From straight ahead to both sides in turn: 0, +1, -1, +2, -2 ... spacings."""
    spacing = min(_WIDEST_SPACING, 360.0 / count)
    angles = [spacing * ((i + 1) // 2) * (1 if i % 2 else -1) for i in range(count)]
    return tuple(_Mount(f'camera_{i}', angle, angle) for i, angle in enumerate(angles))


def _camera(mount: _Mount, kind: str, number: int) -> CameraModel:
    length, width, up = _RINGS[kind]
    bearing, heading = np.radians([mount.bearing, mount.heading])
    # Heights, pitches and principal points differ a little, as on real mounts.
    position = (length * np.cos(bearing), width * np.sin(bearing), up + 0.07 * (number % 3 - 1))
    pitch = np.radians(3.0 + 2.0 * (number % 2))
    size = _SIZES[number % len(_SIZES)]
    focal = 0.5 * size[0] / np.tan(np.radians(0.5 * _FIELD_OF_VIEW))
    centre = 0.5 * np.array(size) - 0.5 + [2.25, -1.75]
    return CameraModel(
        name=mount.name,
        width=size[0],
        height=size[1],
        intrinsics=np.array([[focal, 0, centre[0]], [0, 1.01 * focal, centre[1]], [0, 0, 1]]),
        frame_id=f'{mount.name}_optical_frame',
        base_from_camera=transform(
            rotation_from_rpy(0.0, pitch, heading) @ _BASE_FROM_OPTICAL, np.array(position)
        ),
    )

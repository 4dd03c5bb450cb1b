"""Smooth rigid motion in closed form: of bodies in the scene, and of the rig."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.poses import transform
import numpy as np

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Motion:
    """Pose over time: a start, a steady part, and a swinging part.

    position, velocity:     metres and metres per second, in the world
    sway, sway_phase:       amplitude in metres and phase in radians per axis, with `sway_period`
                            seconds; phases a quarter turn apart make an ellipse
    rotation, turn:         roll, pitch, yaw in radians and their rates in radians per second
    rock, rock_phase:       swing of roll, pitch, yaw in radians, with `rock_period` seconds
    """

    position: Vector
    velocity: Vector = ZERO
    sway: Vector = ZERO
    sway_phase: Vector = ZERO
    sway_period: float = 1.0
    rotation: Vector = ZERO
    turn: Vector = ZERO
    rock: Vector = ZERO
    rock_phase: Vector = ZERO
    rock_period: float = 1.0

    @property
    def moves(self) -> bool:
        """Whether the pose ever changes."""
        return any(any(v) for v in (self.velocity, self.sway, self.turn, self.rock))

    def pose(self, seconds: float) -> np.ndarray:
        """world_from_body, float64 [4, 4], `seconds` after the start of the recording."""
        swing = np.sin(2 * np.pi * seconds / self.sway_period + np.array(self.sway_phase))
        rocking = np.sin(2 * np.pi * seconds / self.rock_period + np.array(self.rock_phase))
        position = np.array(self.position) + seconds * np.array(self.velocity) + self.sway * swing
        angles = np.array(self.rotation) + seconds * np.array(self.turn) + self.rock * rocking
        return transform(rotation_from_rpy(*angles), position)


def rotation_from_rpy(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll), float64 [3, 3], radians."""
    (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )

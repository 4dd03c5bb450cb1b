"""Errors of trajectories (spec D.1): poses are world_from_body, float64 [N, 4, 4]."""

from __future__ import annotations

from fourd_perception.geometry.alignment import umeyama
from fourd_perception.geometry.poses import invert, rotation_angle
import numpy as np


def absolute_trajectory_error(estimated: np.ndarray, truth: np.ndarray) -> float:
    """ATE: RMSE of positions after the Sim(3) alignment of Umeyama, in units of the truth.

    Raises ValueError for fewer than three positions, or positions on one line.
    """
    similarity = umeyama(estimated[:, :3, 3], truth[:, :3, 3])
    return _rms(np.linalg.norm(similarity.apply(estimated[:, :3, 3]) - truth[:, :3, 3], axis=-1))


def relative_pose_error(estimated: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """RPE between consecutive poses: RMSE of translation (units of the truth) and degrees.

    E_i = (Q_i^-1 Q_i+1)^-1 (P_i^-1 P_i+1), after the Sim(3) alignment of the positions; only its
    scale acts on relative motions.
    """
    scale = umeyama(estimated[:, :3, 3], truth[:, :3, 3]).scale
    moved = invert(estimated[:-1]) @ estimated[1:]
    moved[:, :3, 3] *= scale
    error = invert(invert(truth[:-1]) @ truth[1:]) @ moved
    return _rms(np.linalg.norm(error[:, :3, 3], axis=-1)), np.degrees(
        _rms(rotation_angle(error[:, :3, :3]))
    )


def pose_errors(estimated: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [N] and angle in degrees [N] of poses that live in one world."""
    distance = np.linalg.norm(estimated[:, :3, 3] - truth[:, :3, 3], axis=-1)
    angle = rotation_angle(np.swapaxes(truth[:, :3, :3], -1, -2) @ estimated[:, :3, :3])
    return distance, np.degrees(angle)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))

"""Errors of the relative pose of two images, whose translation has no scale."""

from __future__ import annotations

from fourd_perception.geometry.poses import invert, rotation_angle
import numpy as np

# Error of a pose that a method did not find, degrees: the largest there is.
NOT_FOUND = 180.0


def relative_poses(world_from_camera: np.ndarray) -> np.ndarray:
    """newer_from_older [..., T - 1, 4, 4] of consecutive poses [..., T, 4, 4]."""
    return invert(world_from_camera[..., 1:, :, :]) @ world_from_camera[..., :-1, :, :]


def pair_errors(estimated: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Angles float64 [N, 2] in degrees between relative poses [N, 4, 4]: rotation, direction.

    Direction is that of the translation, sign and all; only where the true one is well above zero
    does it say anything. Poses that hold NaN were not found and are `NOT_FOUND` off.
    """
    found = np.isfinite(estimated).all(axis=(-2, -1))
    guess = np.where(found[..., None, None], estimated, np.eye(4))
    turned = rotation_angle(np.swapaxes(truth[..., :3, :3], -1, -2) @ guess[..., :3, :3])
    moved = angle_between(guess[..., :3, 3], truth[..., :3, 3])
    errors = np.degrees(np.stack([turned, moved], axis=-1))
    return np.where(found[..., None], errors, NOT_FOUND)


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle in radians between vectors [..., 3], 0..pi; a right one beside a vector of zeros."""
    across = np.linalg.norm(np.cross(a, b), axis=-1)
    along = (a * b).sum(axis=-1)
    return np.where((across == 0) & (along == 0), 0.5 * np.pi, np.arctan2(across, along))


def area_under_curve(errors: np.ndarray, limit: float = 30.0) -> float:
    """AUC in percent: mean, over thresholds from 0 to `limit`, of the share of errors below.

    errors [N] in degrees, of a pose the larger of both angles (AUC@30 of VGGT, PoseDiffusion). The
    exact area, not the sum over whole degrees. NaN without errors.
    """
    if not len(errors):
        return float('nan')
    return float(100.0 * np.clip(1.0 - np.asarray(errors, float) / limit, 0.0, 1.0).mean())

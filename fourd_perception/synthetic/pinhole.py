"""Pixels and rays of a pinhole camera, as flat arrays [2, N] for the ray caster.

A ray is the (x, y) of its direction (x, y, 1) in the optical frame, so lengths along rays are
depths along z.
"""

from __future__ import annotations

from fourd_perception.geometry.cameras import CameraModel
import numpy as np


def camera_rays(camera: CameraModel) -> np.ndarray:
    """(x, y) of the directions (x, y, 1) through all pixel centres, float64 [2, h * w]."""
    assert camera.intrinsics is not None
    k = camera.intrinsics
    return (pixel_grid(camera) - k[:2, 2:]) / np.array([[k[0, 0]], [k[1, 1]]])


def pixel_grid(camera: CameraModel) -> np.ndarray:
    """(x, y) of all pixel centres row by row, float64 [2, h * w]."""
    y, x = np.mgrid[: camera.height, : camera.width].reshape(2, -1).astype(float)
    return np.stack([x, y])


def pixels_of(camera: CameraModel, rays: np.ndarray) -> np.ndarray:
    """Pixels [2, N] of rays (x, y) [2, N]."""
    assert camera.intrinsics is not None
    k = camera.intrinsics
    return rays * np.array([[k[0, 0]], [k[1, 1]]]) + k[:2, 2:]


def project(camera_from_world: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(x/z, y/z, z) of world points [3, N]; NaN where z <= 0."""
    x, y, z = camera_from_world[:3, :3] @ points + camera_from_world[:3, 3:]
    z = np.where(z > 1e-6, z, np.nan)
    return np.stack([x / z, y / z, z])

"""Pixels with depth to points, and points to pixels, for pinhole cameras (optical frame)."""

from __future__ import annotations

import numpy as np


def unproject(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points float32 [h, w, 3] in the optical frame from depth along z [h, w].

    intrinsics [3, 3] without skew; pixel (0, 0) has its centre at (0, 0). NaN depth gives NaN.
    """
    height, width = depth.shape
    rays_x = (np.arange(width) - intrinsics[0, 2]) / intrinsics[0, 0]
    rays_y = (np.arange(height) - intrinsics[1, 2]) / intrinsics[1, 1]
    points = np.empty((height, width, 3), np.float32)
    np.multiply(depth, rays_x.astype(np.float32), out=points[..., 0])
    np.multiply(depth, rays_y.astype(np.float32)[:, None], out=points[..., 1])
    points[..., 2] = depth
    return points


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels [..., 2] (x, y) of points [..., 3] in the optical frame; NaN unless in front."""
    z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
    focal = np.array([intrinsics[0, 0], intrinsics[1, 1]])
    return points[..., :2] / z[..., None] * focal + intrinsics[:2, 2]


def transform_points(a_from_b: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [..., 3] given in b, expressed in a; the dtype of the points is kept."""
    rotation = a_from_b[:3, :3].astype(points.dtype)
    return points @ rotation.T + a_from_b[:3, 3].astype(points.dtype)

"""Depth to points by the published networks' own conventions (VGGT A.12)."""

from __future__ import annotations

import numpy as np


def unproject(
    depth: np.ndarray,
    intrinsics: np.ndarray,
    camera_from_world: np.ndarray,
    pixel_centre: float = 0.0,
) -> np.ndarray:
    """World points float64 [S, H, W, 3] of depth [S, H, W] along z; zeros are not masked.

    intrinsics:        [S, 3, 3]
    camera_from_world: [S, 3, 4]
    pixel_centre:      coordinate of the centre of pixel (0, 0): 0 in VGGT, 0.5 in the mask
                       refinement of VGGT4D
    Camera points are rounded to float32 before they are turned, as the published code does.
    """
    _, height, width = depth.shape
    v, u = np.mgrid[:height, :width].astype(np.float64) + pixel_centre
    focal = intrinsics[:, [0, 1], [0, 1]].astype(np.float64)[:, None, None]
    centre = intrinsics[:, :2, 2].astype(np.float64)[:, None, None]
    rays = (np.stack([u, v], axis=-1) - centre) / focal
    ones = np.ones((*depth.shape, 1))
    camera = (np.concatenate([rays, ones], axis=-1) * depth[..., None]).astype(np.float32)
    rotation = camera_from_world[:, :3, :3].astype(np.float64)
    moved = camera - camera_from_world[:, None, None, :3, 3].astype(np.float64)
    return np.einsum('sji,shwj->shwi', rotation, moved)

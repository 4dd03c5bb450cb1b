"""The truth of motion masks (specification B.16): what counts as moving, and how far it moves."""

from __future__ import annotations

from typing import TypeVar

from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
import numpy as np
import torch

MOVES, RESTS = 1.0, 0.3
Array = TypeVar('Array', np.ndarray, torch.Tensor)


def dynamic_label(own_motion: Array) -> Array:
    """uint8: `DYNAMIC` above 1 px of own motion, `STATIC` below 0.3 px, `IGNORED` between.

    own_motion: in pixels of the network's image, the longest to any other slice of the window;
    NaN (unknown) is ignored.
    """
    if isinstance(own_motion, torch.Tensor):
        label = torch.full_like(own_motion, IGNORED, dtype=torch.uint8)
        return label.masked_fill_(own_motion > MOVES, DYNAMIC).masked_fill_(
            own_motion < RESTS, STATIC
        )
    array = np.where(own_motion > MOVES, DYNAMIC, IGNORED)
    return np.where(own_motion < RESTS, STATIC, array).astype(np.uint8)


def own_motion(
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    other_from_camera: torch.Tensor,
    flow: torch.Tensor,
    other_intrinsics: torch.Tensor | None = None,
) -> torch.Tensor:
    """How far each pixel's flow is from what the camera's motion alone would make, [..., H, W] px.

    depth [..., H, W] along z; intrinsics [..., 3, 3]; other_from_camera [..., 4, 4] rigid, to the
    camera of the flow's other image; flow [..., 2, H, W]. NaN where any of them is unknown or the
    point gets behind the camera. The truth of `dynamic_label` takes the maximum over the slices.
    """
    height, width = depth.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=depth.device, dtype=depth.dtype),
        torch.arange(width, device=depth.device, dtype=depth.dtype),
        indexing='ij',
    )
    k = intrinsics[..., None, None]
    rays = torch.stack(
        [
            (x - k[..., 0, 2, :, :]) / k[..., 0, 0, :, :],
            (y - k[..., 1, 2, :, :]) / k[..., 1, 1, :, :],
        ]
    )
    points = torch.stack([rays[0] * depth, rays[1] * depth, depth], dim=-3)
    turned = torch.einsum('...ij,...jhw->...ihw', other_from_camera[..., :3, :3], points)
    there = turned + other_from_camera[..., :3, 3, None, None]
    z = there[..., 2, :, :]
    z = torch.where(z > 0, z, float('nan'))
    other = k if other_intrinsics is None else other_intrinsics[..., None, None]
    u = there[..., 0, :, :] / z * other[..., 0, 0, :, :] + other[..., 0, 2, :, :] - x
    v = there[..., 1, :, :] / z * other[..., 1, 1, :, :] + other[..., 1, 2, :, :] - y
    return torch.hypot(flow[..., 0, :, :] - u, flow[..., 1, :, :] - v)

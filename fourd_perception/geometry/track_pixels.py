"""Where tracked points are in the images of cameras that look at them."""

from __future__ import annotations

import torch

NEAREST = 1e-6


def track_pixels(
    points: torch.Tensor, world_from_camera: torch.Tensor, intrinsics: torch.Tensor
) -> torch.Tensor:
    """Pixels [..., N, 2] (x, y) of points [..., N, 3] in the world, of shapes that broadcast.

    NaN behind the camera and where point, pose or intrinsics are.
    world_from_camera: [..., 4, 4]; intrinsics: [..., 3, 3] without skew
    """
    # The difference first: far from the origin, products would lose the digits that matter.
    local = (points - world_from_camera[..., None, :3, 3]) @ world_from_camera[..., :3, :3]
    depth = torch.where(local[..., 2:] > NEAREST, local[..., 2:], torch.nan)
    focal = intrinsics[..., None, (0, 1), (0, 1)]
    return local[..., :2] / depth * focal + intrinsics[..., None, :2, 2]


def inside(pixels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Which pixels [..., 2] are in an image of (height, width); what is NaN is not."""
    height, width = size
    x, y = pixels.unbind(dim=-1)
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)

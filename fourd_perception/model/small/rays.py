"""Known intrinsics as an input: the directions in which the patches look (training.md 3.3)."""

from __future__ import annotations

from fourd_perception.model.small.config import PATCH
import torch
from torch import nn

POINTS = 5


def patch_points(rows: int, columns: int, device: torch.device | str) -> torch.Tensor:
    """Pixels (u, v) float32 [rows columns, 5, 2]: centre and corners of every patch.

    Pixel (0, 0) has its centre at (0, 0), so that the first patch spans -0.5 .. 15.5.
    """
    offsets = torch.tensor(
        [(0.5, 0.5), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)], device=device
    )
    x = torch.arange(columns, device=device).repeat(rows)
    y = torch.arange(rows, device=device).repeat_interleave(columns)
    corners = torch.stack([x, y], dim=-1).float()
    return (corners[:, None] + offsets) * PATCH - 0.5


def ray_directions(intrinsics: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """(x / z, y / z) float32 [..., N, 5, 2] of pixels [N, 5, 2] under matrices [..., 3, 3]."""
    k = intrinsics.float()[..., None, None, :, :]
    y = (pixels[..., 1] - k[..., 1, 2]) / k[..., 1, 1]
    x = (pixels[..., 0] - k[..., 0, 2] - k[..., 0, 1] * y) / k[..., 0, 0]
    return torch.stack([x, y], dim=-1)


def known_intrinsics(intrinsics: torch.Tensor) -> torch.Tensor:
    """Bool [...]: whether the camera matrices [..., 3, 3] are given, not NaN."""
    return intrinsics.isfinite().flatten(-2).all(-1)


class RayEmbedding(nn.Module):
    """Directions to tokens, zero at first; one learned vector for cameras without calibration."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * POINTS, dim)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.unknown = nn.Parameter(torch.zeros(dim))

    def forward(self, intrinsics: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """[B, S, N, dim] of camera matrices [B, S, 3, 3] in network pixels, NaN where unknown."""
        known = known_intrinsics(intrinsics)[..., None, None]
        anything = torch.eye(3, device=intrinsics.device, dtype=intrinsics.dtype)
        rays = ray_directions(torch.where(known, intrinsics, anything), pixels).flatten(-2)
        embedded = self.linear(rays.to(self.linear.weight.dtype))
        return torch.where(known, embedded, self.unknown.to(embedded.dtype))

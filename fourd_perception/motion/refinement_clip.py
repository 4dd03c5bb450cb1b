"""What mask refinement reads of a clip, and the projections that all its variants share (C.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.model.cell_layout import CellLayout
import numpy as np
import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class RefinementClip:
    """Images, depth and coarse masks of S cells, with their cameras.

    images:            float32 [S, 3, H, W] in 0..1
    depth:             float32 [S, H, W], > 0; of the unmasked pass
    mask:              bool [S, H, W], coarse
    world_from_camera: float64 [S, 4, 4]; of the masked pass
    intrinsics:        float64 [S, 3, 3] in the habit of the published networks: pixel (u, v) has
                       its centre at (u + 0.5, v + 0.5), the principal point at (W/2, H/2)
    layout:            view and time of each cell; cells of the same instant never judge each other
    confidence:        float32 [S, H, W], >= 1, or None
    """

    images: torch.Tensor
    depth: torch.Tensor
    mask: torch.Tensor
    world_from_camera: torch.Tensor
    intrinsics: torch.Tensor
    layout: CellLayout
    confidence: torch.Tensor | None = None

    def points(self) -> torch.Tensor:
        """World points float32 [S, H, W, 3] of all pixels."""
        height, width = self.depth.shape[1:]
        device = self.depth.device
        v, u = torch.meshgrid(
            torch.arange(height, device=device) + 0.5,
            torch.arange(width, device=device) + 0.5,
            indexing='ij',
        )
        k = self.intrinsics.to(self.depth.dtype)
        x = (u - k[:, 0, 2, None, None]) / k[:, 0, 0, None, None]
        y = (v - k[:, 1, 2, None, None]) / k[:, 1, 1, None, None]
        camera = torch.stack([x, y, torch.ones_like(x)], dim=-1) * self.depth[..., None]
        pose = self.world_from_camera.to(self.depth.dtype)
        turned = torch.einsum('sij,shwj->shwi', pose[:, :3, :3], camera)
        return turned + pose[:, None, None, :3, 3]

    def others(self, cell: int, most: int) -> tuple[int, ...]:
        """Cells of other instants than `cell`'s, at most `most` of them, evenly spread."""
        time = self.layout.time_id
        allowed = [i for i in range(len(self.layout)) if time[i] != time[cell]]
        if len(allowed) <= most:
            return tuple(allowed)
        spread = np.linspace(0, len(allowed) - 1, most).round().astype(int)
        return tuple(allowed[i] for i in spread)


@dataclass(frozen=True, eq=False)
class Projection:
    """Points seen from n other cells; all [n, N].

    camera: float32 [n, N, 3], the points in those cameras
    pixel:  float32 [n, N, 2], (u, v) with pixel centres at + 0.5
    inside: bool, within the image and in front of the camera
    """

    camera: torch.Tensor
    pixel: torch.Tensor
    inside: torch.Tensor


def project(clip: RefinementClip, points: torch.Tensor, cells: Sequence[int]) -> Projection:
    """Project world points [N, 3] into cells."""
    index = list(cells)
    world = clip.world_from_camera[index].double()
    rotation = world[:, :3, :3].transpose(1, 2)
    camera = torch.einsum('nij,pj->npi', rotation, points.double())
    camera = (camera - (rotation @ world[:, :3, 3:]).transpose(1, 2)).to(points.dtype)
    k = clip.intrinsics[index].to(points.dtype)
    z = camera[..., 2]
    u = camera[..., 0] / z * k[:, None, 0, 0] + k[:, None, 0, 2]
    v = camera[..., 1] / z * k[:, None, 1, 1] + k[:, None, 1, 2]
    height, width = clip.depth.shape[1:]
    inside = (u > 0) & (u < width) & (v > 0) & (v < height) & (z > 0)
    return Projection(camera, torch.stack([u, v], dim=-1), inside)


def look_up(maps: torch.Tensor, pixel: torch.Tensor, mode: str) -> torch.Tensor:
    """Maps [n, C, H, W] at pixels [n, N, 2]: [n, C, N].

    Pixels are divided by W - 1 and H - 1 as they are: the half pixel that this leaves over is the
    published code's.
    """
    height, width = maps.shape[-2:]
    scale = pixel.new_tensor([2 / (width - 1), 2 / (height - 1)])
    grid = (pixel * scale - 1).nan_to_num(nan=-2.0)[:, :, None]
    return F.grid_sample(maps, grid, mode=mode, align_corners=True)[..., 0]

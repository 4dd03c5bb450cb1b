"""Flow that the camera's own motion does not explain (VGGT4D C.11)."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def ego_flow(
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    other_intrinsics: torch.Tensor,
    other_from_camera: torch.Tensor,
) -> torch.Tensor:
    """Flow float32 [N, 2, H, W], pixels, that still points have to another frame.

    depth [N, H, W]; intrinsics [N, 3, 3], pixel (0, 0) centred at (0, 0); other_from_camera
    [N, 4, 4] in the scale of the depths. NaN where the depth is unknown or the point lies behind
    the other camera.
    """
    height, width = depth.shape[1:]
    v, u = torch.meshgrid(
        torch.arange(height, device=depth.device, dtype=torch.float32),
        torch.arange(width, device=depth.device, dtype=torch.float32),
        indexing='ij',
    )
    k, other = (m.float()[:, :, :, None, None] for m in (intrinsics, other_intrinsics))
    ray = torch.stack(
        [
            (u - k[:, 0, 2]) / k[:, 0, 0],
            (v - k[:, 1, 2]) / k[:, 1, 1],
            torch.ones_like(depth, dtype=torch.float32),
        ],
        dim=1,
    )
    pose = other_from_camera.float()
    point = torch.einsum('nij,njyx->niyx', pose[:, :3, :3], depth[:, None].float() * ray)
    x, y, z = (point + pose[:, :3, 3, None, None]).unbind(1)
    z = torch.where(z > 0, z, torch.nan)
    there_u = x / z * other[:, 0, 0] + other[:, 0, 2]
    there_v = y / z * other[:, 1, 1] + other[:, 1, 2]
    return torch.stack([there_u - u, there_v - v], dim=1)


def per_token(maps: torch.Tensor, patch: int) -> torch.Tensor:
    """Median of each patch [..., H / patch, W / patch]; unknown pixels (NaN) do not count."""
    height, width = maps.shape[-2:]
    cut = maps.unflatten(-1, (width // patch, patch)).unflatten(-3, (height // patch, patch))
    return cut.transpose(-3, -2).flatten(-2).nanmedian(-1).values


def along_flow(maps: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Maps [N, h, w] fetched from where flow [N, 2, h, w], in cells, leads to; 0 outside.

    Where the flow is unknown the place itself is read.
    """
    height, width = maps.shape[1:]
    v, u = torch.meshgrid(
        torch.arange(height, device=maps.device, dtype=torch.float32),
        torch.arange(width, device=maps.device, dtype=torch.float32),
        indexing='ij',
    )
    flow = flow.nan_to_num(0.0)
    there = torch.stack(
        [(2 * (u + flow[:, 0]) + 1) / width - 1, (2 * (v + flow[:, 1]) + 1) / height - 1], dim=-1
    )
    return F.grid_sample(maps[:, None], there, align_corners=False)[:, 0]

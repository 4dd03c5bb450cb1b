"""Clips of one textured plane before moving cameras, with exact truth in a few lines."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.clips import Clips, OCCLUDED, STATIC, unlabelled, VISIBLE
import torch


def plane_clips(
    batch: int = 2,
    views: int = 1,
    instants: int = 3,
    size: tuple[int, int] = (32, 48),
    seed: int = 0,
) -> Clips:
    """Everything known but tracks; nothing moves; the plane z = 3 + .1 x + .05 y fills all."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    cells = (batch, views, instants)
    pose = _poses(cells, generator)
    k = torch.eye(3).repeat(*cells, 1, 1)
    k[..., 0, 0] = k[..., 1, 1] = 0.9 * width
    k[..., 0, 2], k[..., 1, 2] = 0.5 * (width - 1) + 1, 0.5 * (height - 1) - 1
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    pixels = torch.stack([u, v, torch.ones_like(u)], dim=-1).float()
    rays = torch.einsum('...ij,yxj->...yxi', torch.linalg.inv(k), pixels)
    turned = torch.einsum('...ij,...yxj->...yxi', pose[..., :3, :3], rays)
    normal = torch.tensor([-0.1, -0.05, 1.0])
    start = pose[..., :3, 3]
    depth = (3 - start @ normal)[..., None, None] / (turned @ normal)
    points = start[..., None, None, :] + depth[..., None] * turned
    clips = replace(
        unlabelled(_texture(points, generator)),
        seconds=0.1 * torch.arange(instants).double().expand(cells),
        intrinsics=k,
        world_from_camera=pose,
        depth=depth,
        dynamic=torch.full((*cells, *size), STATIC, dtype=torch.uint8),
        metric=torch.ones(batch, dtype=torch.bool),
    )
    forward = _flow(points, pose, k, pixels, 1)
    backward = _flow(points, pose, k, pixels, -1)
    return replace(
        clips,
        flow_forward=forward[0],
        occluded_forward=forward[1],
        flow_backward=backward[0],
        occluded_backward=backward[1],
    )


def _poses(cells: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Cameras that look about along z, float32 [..., 4, 4]."""
    turn = 0.05 * torch.randn(*cells, 3, generator=generator)
    skew = torch.zeros(*cells, 4, 4)
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -turn[..., 2], turn[..., 1], -turn[..., 0]
    pose = torch.linalg.matrix_exp(skew - skew.transpose(-1, -2))
    pose[..., :3, 3] = 0.1 * torch.randn(*cells, 3, generator=generator)
    return pose


def _texture(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Uint8 [..., 3, H, W]: waves of many lengths on the plane."""
    waves = torch.randn(3, 12, 2, generator=generator) * torch.logspace(0, 1.2, 12)[:, None]
    phase = 6 * torch.rand(3, 12, generator=generator)
    angle = torch.einsum('...yxi,cwi->...cwyx', points[..., :2], waves) + phase[..., None, None]
    return (127.5 + 40 * angle.sin().mean(-3) * 3).clamp(0, 255).byte()


def _flow(
    points: torch.Tensor, pose: torch.Tensor, k: torch.Tensor, pixels: torch.Tensor, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flow to the next (1) or previous (-1) instant, and whether it leaves the image."""
    other, k_other = pose.roll(-step, 2), k.roll(-step, 2)
    local = points - other[..., None, None, :3, 3]
    local = torch.einsum('...ji,...yxj->...yxi', other[..., :3, :3], local)
    there = torch.einsum('...ij,...yxj->...yxi', k_other, local / local[..., 2:])[..., :2]
    flow = (there - pixels[..., :2]).movedim(-1, -3)
    height, width = pixels.shape[:2]
    x, y = there.unbind(-1)
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    hidden = torch.where(outside, OCCLUDED, VISIBLE).byte()
    last = -1 if step == 1 else 0
    flow[:, :, last] = torch.nan
    hidden[:, :, last] = 255
    return flow, hidden

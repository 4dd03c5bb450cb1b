"""What moves by itself in a window, from depth, poses and flow, or from tracked points."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.datasets.window_occlusion import at_pixels, pixel_grid
from fourd_perception.geometry.clips import Clips, IGNORED, STATIC, VISIBLE
from fourd_perception.geometry.dynamic_label import dynamic_label, own_motion
import torch


def with_dynamic(clips: Clips) -> Clips:
    """Labels of B.16 where the set has none and depth, poses and flow, or tracks, tell them.

    Points are followed along the flow through the window as long as they are visible; tracks
    label the pixels that they are seen at. The sky, where depth is inf, is static; its depth
    becomes NaN, as it is in every clip.
    """
    motion = torch.fmax(_followed(clips, 1), _followed(clips, -1))
    motion = torch.fmax(motion, _tracked(clips))
    found = torch.where(clips.depth.isinf(), STATIC, dynamic_label(motion))
    dynamic = torch.where(clips.dynamic == IGNORED, found, clips.dynamic)
    depth = clips.depth.masked_fill(clips.depth.isinf(), float('nan'))
    return replace(clips, dynamic=dynamic, depth=depth)


def _followed(clips: Clips, step: int) -> torch.Tensor:
    """Own motion [B, V, T, H, W] in pixels of points followed in one direction of time.

    The largest distance between where the flow leads a point and where it would be seen had it
    stood still; NaN where nothing is known of it.
    """
    flow = clips.flow_forward if step > 0 else clips.flow_backward
    occluded = clips.occluded_forward if step > 0 else clips.occluded_backward
    visible = torch.where(occluded == VISIBLE, 0.0, float('nan'))
    # Flow that ends where its point is not seen says where it is, but nothing of what follows.
    onward = flow + visible.unsqueeze(3)
    instants = flow.shape[2]
    motion = torch.full_like(clips.depth, float('nan'))
    for start in range(instants):
        here = pixel_grid(flow).expand_as(flow[:, :, start])
        for instant in range(start + step, instants if step > 0 else -1, step):
            there = here + at_pixels(flow[:, :, instant - step], here)
            apart = own_motion(
                clips.depth[:, :, start],
                clips.intrinsics[:, :, start],
                _from_instant(clips, start, instant),
                there - pixel_grid(flow),
                clips.intrinsics[:, :, instant],
            )
            motion[:, :, start] = torch.fmax(motion[:, :, start], apart)
            here = here + at_pixels(onward[:, :, instant - step], here)
    return motion


def _from_instant(clips: Clips, start: int, instant: int) -> torch.Tensor:
    """The camera of `instant` from that of `start`, [B, V, 4, 4]."""
    first, other = (clips.world_from_camera[:, :, k] for k in (start, instant))
    turned = other[..., :3, :3].mT @ first[..., :3, :3]
    moved = other[..., :3, :3].mT @ (first[..., :3, 3:] - other[..., :3, 3:])
    return torch.cat([torch.cat([turned, moved], dim=-1), first[..., 3:, :]], dim=-2)


def _seen_at(clips: Clips, instant: int, world: torch.Tensor) -> torch.Tensor:
    """Pixels [B, V, 2, N] of world points [B, V, 3, N] in the images of an instant.

    NaN behind the camera and where pose or intrinsics are unknown.
    """
    pose = clips.world_from_camera[:, :, instant]
    points = pose[..., :3, :3].mT @ (world - pose[..., :3, 3:])
    depth = points[..., 2:, :]
    rays = points / depth.masked_fill(depth <= 0, float('nan'))
    return (clips.intrinsics[:, :, instant] @ rays)[..., :2, :]


def _tracked(clips: Clips) -> torch.Tensor:
    """Own motion [B, V, T, H, W] in pixels where a tracked point is seen, NaN elsewhere."""
    height, width = clips.depth.shape[-2:]
    motion = torch.full_like(clips.depth, -1.0).flatten(-2)
    points = clips.track_points.mT[:, None].expand(-1, clips.depth.shape[1], -1, -1, -1)
    instants = range(points.shape[2])
    moving = [_seen_at(clips, k, points[:, :, k]) for k in instants]
    for start in instants:
        apart = torch.full_like(moving[start][:, :, 0], float('nan'))
        for k in instants:
            still = _seen_at(clips, k, points[:, :, start])
            if k != start:
                apart = torch.fmax(apart, torch.linalg.vector_norm(moving[k] - still, dim=2))
        x, y = moving[start].nan_to_num(-1.0).round().long().unbind(dim=2)
        seen = clips.track_visible[:, :, start] & ~apart.isnan()
        seen &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        index = torch.where(seen, y * width + x, 0)
        apart = torch.where(seen, apart, -1.0)
        motion[:, :, start].scatter_reduce_(-1, index, apart, 'amax')
    return motion.masked_fill(motion < 0, float('nan')).unflatten(-1, (height, width))

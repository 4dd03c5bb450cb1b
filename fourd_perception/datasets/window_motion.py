"""What moves by itself in a window, from depth, poses and flow, or from tracked points."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.datasets.window_occlusion import at_pixels, outside, pixel_grid
from fourd_perception.geometry.clips import Clips, IGNORED, STATIC, VISIBLE
from fourd_perception.geometry.dynamic_label import dynamic_label, MOVES, own_motion
from fourd_perception.geometry.track_pixels import track_pixels
import torch


def with_dynamic(clips: Clips, followed: bool = True) -> Clips:
    """Labels of B.16 where the set has none and depth, poses and flow, or tracks, tell them.

    followed: points are followed along the flow through the window as long as they are visible;
    not for flow that was made from depth and poses. Tracks label the pixels that they are seen
    at. A point is known to move from any instant, and to rest from all others of the window
    together. The sky, where depth is inf, is static; its depth becomes NaN, as it is in every
    clip.
    """
    motion = _tracked(clips)
    if followed:
        motion = torch.fmax(motion, _along_flow(clips))
    found = torch.where(clips.depth.isinf(), STATIC, dynamic_label(motion))
    dynamic = torch.where(clips.dynamic == IGNORED, found, clips.dynamic)
    depth = clips.depth.masked_fill(clips.depth.isinf(), float('nan'))
    return replace(clips, dynamic=dynamic, depth=depth)


def _along_flow(clips: Clips) -> torch.Tensor:
    """Own motion [B, V, T, H, W] in pixels of points followed both ways, NaN where none tells."""
    of_points = clips.depth, clips.intrinsics, clips.world_from_camera
    after, instants_after = _followed(*of_points, clips.flow_forward, clips.occluded_forward)
    # Sets whose flow leads forward only tell where points came from, too.
    back = _reversed(clips.flow_forward, clips.occluded_forward)
    lacking = clips.flow_backward.isnan() & ~back.isnan()
    occluded = clips.occluded_backward.masked_fill(lacking.any(dim=3), VISIBLE)
    backwards = *of_points, torch.where(lacking, back, clips.flow_backward), occluded
    flipped = _followed(*(values.flip(2) for values in backwards))
    before, instants_before = (values.flip(2) for values in flipped)
    everywhere = instants_after + instants_before == clips.depth.shape[2] - 1
    return _telling(torch.fmax(after, before), everywhere)


def _telling(longest: torch.Tensor, everywhere: torch.Tensor) -> torch.Tensor:
    """Own motion, NaN where it is short but not known at every other instant of the window."""
    return longest.masked_fill(~everywhere & ~(longest > MOVES), float('nan'))


def _reversed(flow: torch.Tensor, occluded: torch.Tensor) -> torch.Tensor:
    """Flow to the previous instant that flow forward tells of, [B, V, T, 2, H, W].

    At the pixels that visible points land in, NaN elsewhere.
    """
    height, width = flow.shape[-2:]
    there = pixel_grid(flow) + flow
    seen = (occluded == VISIBLE) & ~outside(there) & ~there.isnan().any(dim=3)
    x, y = there.nan_to_num().round().long().unbind(dim=3)
    inside = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    # What does not land anywhere goes behind the last pixel.
    index = torch.where(seen, inside, height * width).flatten(-2).unsqueeze(3)
    back = flow.new_full((*flow.shape[:4], height * width + 1), float('nan'))
    back.scatter_(-1, index.expand(-1, -1, -1, 2, -1), -flow.flatten(-2))
    # The last instant's flow leads nowhere: nothing of it comes to the first.
    return back[..., :-1].unflatten(-1, (height, width)).roll(1, dims=2)


def _followed(
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    poses: torch.Tensor,
    flow: torch.Tensor,
    occluded: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Own motion [B, V, T, H, W] in pixels of points followed along flow to the next instants.

    The largest distance between where the flow leads a point and where it would be seen had it
    stood still; NaN where nothing is known of it. Also at how many instants it is known, int.
    Arguments as in `Clips`.
    """
    # Flow that ends where its point is not seen says where it is, but nothing of what follows.
    seen = torch.where(occluded == VISIBLE, 0.0, float('nan')).unsqueeze(3)
    steps = torch.cat([flow, seen], dim=3)
    grid = pixel_grid(flow)
    motion = torch.full_like(depth, float('nan'))
    known = torch.zeros_like(depth, dtype=torch.int)
    here = grid.expand_as(flow)
    for later in range(1, flow.shape[2]):
        starts, ends = slice(None, -later), slice(later, None)
        step = at_pixels(steps[:, :, later - 1 : -1], here[:, :, :-1])
        there = here[:, :, :-1] + step[:, :, :, :2]
        moved = own_motion(
            depth[:, :, starts],
            intrinsics[:, :, starts],
            _relative(poses[:, :, starts], poses[:, :, ends]),
            there - grid,
            intrinsics[:, :, ends],
        )
        motion[:, :, starts] = torch.fmax(motion[:, :, starts], moved)
        known[:, :, starts] += ~moved.isnan()
        here = there + step[:, :, :, 2:]
    return motion, known


def _relative(first: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The other camera from the first, [..., 4, 4], of world_from_camera of both."""
    turned = other[..., :3, :3].mT @ first[..., :3, :3]
    moved = other[..., :3, :3].mT @ (first[..., :3, 3:] - other[..., :3, 3:])
    return torch.cat([torch.cat([turned, moved], dim=-1), first[..., 3:, :]], dim=-2)


def _tracked(clips: Clips) -> torch.Tensor:
    """Own motion [B, V, T, H, W] in pixels where a tracked point that tells is seen, else NaN."""
    height, width = clips.depth.shape[-2:]
    motion = torch.full_like(clips.depth, -1.0).flatten(-2)
    points, instants = clips.track_points[:, None], range(clips.depth.shape[2])

    def seen_at(instant: int, world: torch.Tensor) -> torch.Tensor:
        pose, k = clips.world_from_camera[:, :, instant], clips.intrinsics[:, :, instant]
        return track_pixels(world, pose, k)

    moving = [seen_at(k, points[:, :, k]) for k in instants]
    for start in instants:
        apart = torch.full_like(moving[start][..., 0], float('nan'))
        everywhere = torch.ones_like(apart, dtype=torch.bool)
        for k in instants:
            if k != start:
                still = seen_at(k, points[:, :, start])
                moved = torch.linalg.vector_norm(moving[k] - still, dim=-1)
                apart, everywhere = torch.fmax(apart, moved), everywhere & ~moved.isnan()
        apart = _telling(apart, everywhere)
        x, y = moving[start].nan_to_num(-1.0).round().long().unbind(dim=-1)
        seen = clips.track_visible[:, :, start] & ~apart.isnan()
        seen &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        index = torch.where(seen, y * width + x, 0)
        apart = torch.where(seen, apart, -1.0)
        motion[:, :, start].scatter_reduce_(-1, index, apart, 'amax')
    return motion.masked_fill(motion < 0, float('nan')).unflatten(-1, (height, width))

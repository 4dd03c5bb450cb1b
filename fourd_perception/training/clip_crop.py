"""Clips of sizes that the generator does not make: the middle of larger ones."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.clips import Clips, OCCLUDED, VISIBLE
from fourd_perception.geometry.track_pixels import inside, track_pixels
import torch

# Sides of generated and recorded clips are multiples of it.
SIDE = 16


def covering(size: tuple[int, int]) -> tuple[int, int]:
    """The least size of clips that holds one of (height, width)."""
    return -(-size[0] // SIDE) * SIDE, -(-size[1] // SIDE) * SIDE


def cropped(clips: Clips, size: tuple[int, int]) -> Clips:
    """The middle (height, width) of every image, with the truth of a camera that sees no more."""
    height, width = clips.images.shape[-2:]
    if size == (height, width):
        return clips
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
    maps = (
        'images', 'depth', 'flow_forward', 'flow_backward', 'occluded_forward',
        'occluded_backward', 'dynamic', 'instances',
    )  # fmt: skip
    cut = {name: getattr(clips, name)[..., rows, columns].clone() for name in maps}
    for flow, hidden in (
        ('flow_forward', 'occluded_forward'),
        ('flow_backward', 'occluded_backward'),
    ):
        leaves = _leaves(cut[flow]) & (cut[hidden] == VISIBLE)
        cut[hidden][leaves] = OCCLUDED
    intrinsics = clips.intrinsics.clone()
    intrinsics[..., 0, 2] -= left
    intrinsics[..., 1, 2] -= top
    tracks = track_pixels(clips.track_points[:, None], clips.world_from_camera, intrinsics)
    visible = clips.track_visible & inside(tracks, size)
    return replace(clips, **cut, intrinsics=intrinsics, track_visible=visible)


def _leaves(flow: torch.Tensor) -> torch.Tensor:
    """Which pixels' flow [..., 2, H, W] leads out of the image; not where it is unknown."""
    height, width = flow.shape[-2:]
    x = flow[..., 0, :, :] + torch.arange(width, device=flow.device)
    y = flow[..., 1, :, :] + torch.arange(height, device=flow.device)[:, None]
    return (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)

"""Clips: grids of images with whatever truth is known, as scenes and data sets give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch

STATIC, DYNAMIC, IGNORED = 0, 1, 255
VISIBLE, OCCLUDED, UNKNOWN = 0, 1, 255


@dataclass(frozen=True, eq=False)
class Clips:
    """B grids of V views and T instants, all on one device; unknown truth is NaN (or `UNKNOWN`).

    images:            uint8 [B, V, T, 3, H, W] RGB
    present:           bool [B, V, T]; nothing of an absent cell counts
    seconds:           float64 [B, V, T], from any origin
    intrinsics:        float32 [B, V, T, 3, 3], pixels, pixel (0, 0) centred at (0, 0)
    world_from_camera: float32 [B, V, T, 4, 4], rigid, OpenCV axes (x right, y down, z forward)
    depth:             float32 [B, V, T, H, W] along z; NaN on the sky too
    flow_forward, flow_backward: float32 [B, V, T, 2, H, W], to the same view's next and previous
                       instant, pixels, u right, v down; known for hidden pixels where they are
    occluded_forward, occluded_backward: uint8 [B, V, T, H, W]: `VISIBLE`, `OCCLUDED` (hidden or
                       outside the image at that instant) or `UNKNOWN`
    dynamic:           uint8 [B, V, T, H, W]: `STATIC`, `DYNAMIC` or `IGNORED` (spec B.16)
    instances:         int16 [B, V, T, H, W]: 0 background, -1 unknown
    track_points:      float32 [B, T, N, 3] in the world, N >= 0 points fixed to surfaces
    track_visible:     bool [B, V, T, N]: inside the image and not hidden
    metric:            bool [B]: depth and translations are metres, else of any scale
    """

    images: torch.Tensor
    present: torch.Tensor
    seconds: torch.Tensor
    intrinsics: torch.Tensor
    world_from_camera: torch.Tensor
    depth: torch.Tensor
    flow_forward: torch.Tensor
    flow_backward: torch.Tensor
    occluded_forward: torch.Tensor
    occluded_backward: torch.Tensor
    dynamic: torch.Tensor
    instances: torch.Tensor
    track_points: torch.Tensor
    track_visible: torch.Tensor
    metric: torch.Tensor

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.images)

    def to(self, device: torch.device | str) -> Clips:
        """The same clips on another device."""
        return Clips(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def __getitem__(self, clips: slice | torch.Tensor) -> Clips:
        """Some of the clips."""
        return Clips(**{f.name: getattr(self, f.name)[clips] for f in fields(self)})


def unlabelled(images: torch.Tensor) -> Clips:
    """Clips of which nothing but the images uint8 [B, V, T, 3, H, W] is known."""
    cells, (height, width) = images.shape[:3], images.shape[4:]

    def full(value: float, dtype: torch.dtype, *shape: int) -> torch.Tensor:
        return torch.full(shape, value, dtype=dtype, device=images.device)

    nan, byte = float('nan'), torch.uint8
    batch, views, instants = cells
    return Clips(
        images=images,
        present=full(True, torch.bool, *cells),
        seconds=full(nan, torch.float64, *cells),
        intrinsics=full(nan, torch.float32, *cells, 3, 3),
        world_from_camera=full(nan, torch.float32, *cells, 4, 4),
        depth=full(nan, torch.float32, *cells, height, width),
        flow_forward=full(nan, torch.float32, *cells, 2, height, width),
        flow_backward=full(nan, torch.float32, *cells, 2, height, width),
        occluded_forward=full(UNKNOWN, byte, *cells, height, width),
        occluded_backward=full(UNKNOWN, byte, *cells, height, width),
        dynamic=full(IGNORED, byte, *cells, height, width),
        instances=full(-1, torch.int16, *cells, height, width),
        track_points=full(nan, torch.float32, batch, instants, 0, 3),
        track_visible=full(False, torch.bool, batch, views, instants, 0),
        metric=full(False, torch.bool, batch),
    )


def joined(clips: Sequence[Clips]) -> Clips:
    """One batch of clips of one shape; fewer tracks are filled up with unknown ones."""
    tracks = max(c.track_points.shape[2] for c in clips)

    def column(name: str) -> torch.Tensor:
        parts = [getattr(c, name) for c in clips]
        if name == 'track_points':
            parts = [_filled(p, 2, tracks, float('nan')) for p in parts]
        if name == 'track_visible':
            parts = [_filled(p, 3, tracks, False) for p in parts]
        return torch.cat(parts)

    return Clips(**{f.name: column(f.name) for f in fields(Clips)})


def _filled(values: torch.Tensor, axis: int, length: int, value: float) -> torch.Tensor:
    """Values with `value` appended along the axis up to the length."""
    shape = list(values.shape)
    shape[axis] = length - shape[axis]
    return torch.cat([values, values.new_full(shape, value)], dim=axis)

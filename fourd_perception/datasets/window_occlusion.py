"""Which points of a window are hidden at the neighbouring instants."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.clips import Clips, OCCLUDED, UNKNOWN, VISIBLE
import torch

# A point is hidden where |f + b|^2 > 0.01 (|f|^2 + |b|^2) + 0.5: Meister et al., UnFlow (2018).
_CONSISTENT_SHARE, _CONSISTENT_PIXELS = 0.01, 0.5


def with_occlusion(clips: Clips) -> Clips:
    """Occlusion where flow is known: outside the image, and inconsistent where it was unknown.

    A point that is hidden at the other instant lands on the surface in front of it, whose flow
    leads elsewhere.
    """
    forward = _occluded(clips.flow_forward, clips.flow_backward, clips.occluded_forward, 1)
    backward = _occluded(clips.flow_backward, clips.flow_forward, clips.occluded_backward, -1)
    return replace(clips, occluded_forward=forward, occluded_backward=backward)


def _occluded(
    flow: torch.Tensor, back: torch.Tensor, known: torch.Tensor, step: int
) -> torch.Tensor:
    """uint8 [B, V, T, H, W] for flow [B, V, T, 2, H, W] to instant t + step."""
    other = back.roll(-step, dims=2)
    there = pixel_grid(flow) + flow
    returned = at_pixels(other, there)
    sum_squared = ((flow + returned) ** 2).sum(dim=3)
    length_squared = (flow**2 + returned**2).sum(dim=3)
    consistent = sum_squared <= _CONSISTENT_SHARE * length_squared + _CONSISTENT_PIXELS
    found = torch.where(consistent, VISIBLE, OCCLUDED).to(torch.uint8)
    found = torch.where(sum_squared.isnan(), UNKNOWN, found)
    occluded = torch.where(known == UNKNOWN, found, known)
    return torch.where(outside(there), OCCLUDED, occluded).to(torch.uint8)


def pixel_grid(like: torch.Tensor) -> torch.Tensor:
    """(x, y) of the pixel centres [2, H, W]."""
    height, width = like.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    return torch.stack([x, y]).to(like)


def outside(pixels: torch.Tensor) -> torch.Tensor:
    """Bool [..., H, W]: pixels [..., 2, H, W] outside their image; NaN is not."""
    height, width = pixels.shape[-2:]
    x, y = pixels.unbind(dim=-3)
    return (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)


def at_pixels(values: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Values [..., C, H, W] at the pixels nearest to pixels [..., 2, H, W]; NaN outside."""
    height, width = values.shape[-2:]
    gone = outside(pixels) | pixels.isnan().any(dim=-3)
    x, y = pixels.nan_to_num().round().long().unbind(dim=-3)
    index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(-2)
    index = index.unsqueeze(-2).expand(*values.shape[:-2], -1)
    taken = values.flatten(-2).gather(-1, index).unflatten(-1, (height, width))
    return taken.masked_fill(gone.unsqueeze(-3), float('nan'))

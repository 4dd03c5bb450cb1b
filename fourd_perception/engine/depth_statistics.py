"""Medians over the depths of whole cells: how far the scene is, and how depths compare."""

from __future__ import annotations

import math

import torch

STRIDE = 4  # of pixels looked at: 1/16 of them carry the median well enough


def thinned(depth: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Every fourth pixel in x and y of depth [..., H, W], float64; NaN where there is none.

    valid: bool, broadcast to the shape of depth
    """
    depth, valid = depth[..., ::STRIDE, ::STRIDE], valid[..., ::STRIDE, ::STRIDE]
    usable = valid & (depth > 0) & torch.isfinite(depth)
    return torch.where(usable, depth, math.nan).double()


def depth_ratio(
    before: torch.Tensor, now: torch.Tensor, confidence: torch.Tensor
) -> tuple[float, float] | None:
    """Median ratio before / now of the same N cells [N, h, w], and its relative spread.

    Looks at the more confident half of each cell. Errors within a cell go together, so the
    spread of the pixels counts once per cell that has depth in both. None without a common valid
    pixel.
    """
    middle = confidence.flatten(1).median(dim=1).values[:, None, None]
    logarithm = torch.where(confidence >= middle, before / now, math.nan).log()
    median = logarithm.nanmedian()
    if not torch.isfinite(median):
        return None
    deviation = 1.4826 * float((logarithm - median).abs().nanmedian())
    cells = int(logarithm.isfinite().flatten(1).any(dim=1).sum())
    return math.exp(float(median)), deviation / math.sqrt(cells)

"""The scale of a clip, which no image tells: taken out of truth and prediction (training.md 3.7).

All are functions of one clip at a time, so that a batch may be split anywhere.
"""

from __future__ import annotations

import torch


def log_unit(depth: torch.Tensor) -> torch.Tensor:
    """Mean log z [n] over the valid pixels of depth [n, ...], NaN invalid; NaN where none is."""
    flat = depth.flatten(1)
    return torch.where(flat > 0, flat, torch.nan).log().nanmean(1)


def log_factor(
    log_depth: torch.Tensor, log_truth: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Logarithm [n] of the factor that takes the predicted scale to the true one; 0 where none.

    log_depth, log_truth: [n, ...]; weight: the same shape, >= 0, 0 where nothing is compared.
    The weighted median of the log-ratios. What comes back has the gradient of their weighted
    mean: a median's own would pull at a single pixel.
    """
    weight = weight.detach().flatten(1)
    compared = weight > 0
    ratio = torch.where(compared, (log_truth - log_depth).flatten(1), 0)
    median = weighted_median(ratio.detach(), weight)
    mean = (weight * ratio).sum(1) / weight.sum(1).clamp(min=1e-12)
    return median + mean - mean.detach()


def weighted_median(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Lower weighted median [n] of values [n, N] under weights [n, N] >= 0; 0 where all are 0."""
    order = values.argsort(dim=1)
    reached = weights.gather(1, order).double().cumsum(1)
    total = reached[:, -1:]
    place = (reached < total / 2).sum(1, keepdim=True).clamp(max=values.shape[1] - 1)
    median = values.gather(1, order.gather(1, place))
    return torch.where(total > 0, median, 0)[:, 0]

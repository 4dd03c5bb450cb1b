"""What log-depth and its expected error are punished for (training.md 3.6, vggt A.13)."""

from __future__ import annotations

import torch

# Smallest expected error of log-depth: keeps single pixels from outweighing all others.
LEAST_SIGMA = 0.01
MOST_LOG_SIGMA = 5.0  # nobody knows less of a depth; above, exp overflows at some pixel some day
STRIDES = (1, 2, 4, 8)
# Of a difference: what lies above is a blunder of the data.
CLAMP = 100.0


def sigma_of(log_sigma: torch.Tensor) -> torch.Tensor:
    """Scale of the error, softly kept from falling to zero so that a gradient always leads up."""
    return log_sigma.clamp(max=MOST_LOG_SIGMA).exp() + LEAST_SIGMA


def laplace_loss(
    log_depth: torch.Tensor, log_sigma: torch.Tensor, log_truth: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Negative log-likelihood [n] of a Laplace density of log-depth, mean over valid pixels.

    All [n, ...]; 0 for clips without a valid pixel.
    """
    sigma = sigma_of(log_sigma)
    error = (log_depth - torch.where(valid, log_truth, log_depth.detach())).abs()
    return masked_mean(error / sigma + sigma.log(), valid)


def gradient_loss(
    log_depth: torch.Tensor, log_truth: torch.Tensor, valid: torch.Tensor
) -> torch.Tensor:
    """Mean |difference of the error| [n] between neighbours along x and y, at four strides.

    Maps [n, F, H, W]; at stride s every s-th pixel and row are neighbours. Strides at which a
    clip has no two valid neighbours count as 0.
    """
    error = torch.where(valid, log_depth - log_truth, 0)
    total = log_depth.new_zeros(len(log_depth))
    for stride in STRIDES:
        e, v = error[..., ::stride, ::stride], valid[..., ::stride, ::stride]
        steps = [
            (e[..., 1:] - e[..., :-1], v[..., 1:] & v[..., :-1]),
            (e[..., 1:, :] - e[..., :-1, :], v[..., 1:, :] & v[..., :-1, :]),
        ]
        total = total + sum(masked_mean(step.abs().clamp(max=CLAMP), both) for step, both in steps)
    return total / len(STRIDES)


def masked_mean(values: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Mean [n] of the valid ones of values [n, ...]; 0 where there are none."""
    kept = torch.where(valid, values, 0).flatten(1)
    return kept.sum(1) / valid.flatten(1).sum(1).clamp(min=1)

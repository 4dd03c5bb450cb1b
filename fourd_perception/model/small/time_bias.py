"""An attention bias from the signed seconds between query and key, without a mask.

The bias of a head is a short Fourier series in the difference of two stamps,

    bias(q, k) = sum_f a_f cos(w_f (t_q - t_k)) + b_f sin(w_f (t_q - t_k)),

which splits exactly into a product of what the query knows and what the key knows:

    (a cos(w t_q) + b sin(w t_q)) cos(w t_k) + (a sin(w t_q) - b cos(w t_q)) sin(w t_k).

So two times as many numbers as frequencies, appended to queries and keys, give the bias inside
any fused attention kernel, and no token-by-token matrix is ever made.
"""

from __future__ import annotations

import math

import torch
from torch import nn

# Seconds; from two frames of a slow camera to a long window. Twice their number is a multiple of
# 8, as the kernels want head dimensions to be.
PERIODS = (0.4, 1.6, 6.4, 25.6)


def time_waves(seconds: torch.Tensor) -> torch.Tensor:
    """Cosines and sines float32 [B, S, 2, F] of stamps float64 [B, S], in seconds from any origin.

    Frames whose stamp is NaN get zeros: they neither cast nor feel a bias.
    """
    known = seconds.isfinite()
    # In float64: after a day of recording a float32 angle would be off by a tenth of a radian.
    times = torch.where(known, seconds, 0).double()
    angles = torch.stack([2 * math.pi / period * times for period in PERIODS], dim=-1)
    waves = torch.stack([angles.cos(), angles.sin()], dim=-2).float()
    return waves * known[..., None, None]


class TimeBias(nn.Module):
    """The coefficients a and b of every head; zero at first."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads, 2, len(PERIODS)))

    def queries_keys(self, waves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two [B, heads, S, 2 F] of waves [B, S, 2, F], whose products are the bias."""
        a, b = self.weight.float().unbind(1)  # [heads, F]
        cos, sin = waves[:, None].unbind(-2)  # [B, 1, S, F]
        a, b = a[:, None], b[:, None]
        queries = torch.cat([a * cos + b * sin, a * sin - b * cos], dim=-1)
        keys = torch.cat([cos, sin], dim=-1)
        return queries, keys.expand(-1, queries.shape[1], -1, -1)

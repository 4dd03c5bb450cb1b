"""Gated fusion of the spatial and the temporal taps (4D-VGGT B.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn


class SpatiotemporalDenseFusion(nn.Module):
    """F = S + alpha_k * (W LN([S; T]) + b), norm and projection shared by the taps.

    alpha starts at zero: the network is then exactly VGGT.
    """

    def __init__(self, dim: int, taps: Sequence[int]) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.norm = nn.LayerNorm(2 * dim)
        self.projection = nn.Linear(2 * dim, dim)
        self.alpha = nn.Parameter(torch.zeros(len(self.taps)))

    def forward(
        self, spatial: Mapping[int, torch.Tensor], temporal: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor]:
        """Fused taps [B, S, P, dim] of taps of the same shape."""
        fused = {}
        for gate, tap in zip(self.alpha, self.taps):
            both = torch.cat([spatial[tap], temporal[tap]], dim=-1)
            fused[tap] = spatial[tap] + gate * self.projection(self.norm(both))
        return fused

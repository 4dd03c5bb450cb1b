"""What windows of the correlation say of the motion, read off in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

# Found by trying a few on layered pairs; training goes on from here.
SHARPNESS, HEIGHT_GAIN, SPREAD_COST = 40.0, 8.0, 1.5


class Peaks(nn.Module):
    """Where each window of the correlation is high, how high, and how narrowly.

    A window tells of a motion by the place of its peak, and of its worth by height and width.
    Reading these off in closed form makes the updates follow the fixed descriptor before any
    training, and leave zero within a few steps of it.
    """

    def __init__(self, levels: Sequence[int], radius: int) -> None:
        """For windows of several volumes, each at so many levels."""
        super().__init__()
        self.radius = radius
        self.units = tuple(2.0**level for count in levels for level in range(count))
        windows = len(self.units)
        self.log_sharpness = nn.Parameter(torch.full((windows,), SHARPNESS).log())
        self.height_gain = nn.Parameter(torch.full((windows,), HEIGHT_GAIN))
        self.spread_cost = nn.Parameter(torch.full((windows,), SPREAD_COST))

    def forward(self, windows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Windows, each [B, N, k, k] (y, x), to what each says.

        Returns the mean offset (x, y) under a softmax, in cells, [B, N, windows, 2], the mean
        correlation under it, its standard deviation in cells, and from these two the logit of
        belief in the offset, each [B, N, windows].
        """
        reach = torch.arange(
            -self.radius, self.radius + 1, device=windows[0].device, dtype=torch.float32
        )
        offsets, heights, spreads = [], [], []
        for window, log_sharpness, unit in zip(windows, self.log_sharpness, self.units):
            flat = window.float().flatten(2)
            weights = (flat * log_sharpness.exp()).softmax(-1)
            heights.append((weights * flat).sum(-1))
            weights = weights.unflatten(2, window.shape[2:])
            along = torch.stack([weights.sum(2), weights.sum(3)], dim=2)  # [B, N, 2, k]
            offset = (along * reach).sum(-1)
            variance = (along * (reach - offset[..., None]).square()).sum((-1, -2))
            offsets.append(unit * offset)
            spreads.append(unit * (variance + 1e-4).sqrt())
        height, spread = torch.stack(heights, dim=2), torch.stack(spreads, dim=2)
        logit = self.height_gain * height - self.spread_cost * spread
        return torch.stack(offsets, dim=2), height, spread, logit

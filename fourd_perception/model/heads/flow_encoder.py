"""Images to features at a quarter of their size, with the surroundings mixed in."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

STRIDE = 16


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, width, h, w] to the same."""
        return x + self.conv2(self.conv1(x.relu()).relu())


class FlowEncoder(nn.Module):
    """Pyramid down to 1/16 and back up to 1/4: most parameters sit where there are few cells.

    The halving convolutions are 4x4, so that a cell's centre is the middle of the pixels that it
    stands for.
    """

    def __init__(self, width: int, pyramid: tuple[int, int, int, int]) -> None:
        """Answer with `width` channels; `pyramid`: those at 1/2, 1/4, 1/8 and 1/16."""
        super().__init__()
        half, quarter, eighth, sixteenth = pyramid
        self.to_half = nn.Conv2d(3, half, 4, stride=2, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 4, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(quarter)
        self.refine = Residual(quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 4, stride=2, padding=1)
        self.to_sixteenth = nn.Conv2d(eighth, sixteenth, 4, stride=2, padding=1)
        self.deep = Residual(sixteenth)
        self.lift_sixteenth = nn.Conv2d(sixteenth, eighth, 1)
        self.lift_eighth = nn.Conv2d(eighth, quarter, 1)
        self.out = nn.Conv2d(quarter, width, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] in 0..1, sides multiples of 16, to [B, width, H/4, W/4]."""
        quarter = self.norm(self.to_quarter(self.to_half(2 * images - 1).relu()))
        quarter = self.refine(quarter)
        eighth = self.to_eighth(quarter.relu())
        deep = self.deep(self.to_sixteenth(eighth.relu()))
        eighth = eighth + self.lift_sixteenth(_double(deep))
        return self.out((quarter + self.lift_eighth(_double(eighth.relu()))).relu())


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)

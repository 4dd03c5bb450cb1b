"""Image to patch tokens by a pyramid of convolutions, whose levels the decoder reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
import torch.nn.functional as F


class ResidualConvolutions(nn.Module):
    """x + conv(gelu(conv(gelu(x)))), 3x3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, width, h, w] to the same."""
        return x + self.conv2(F.gelu(self.conv1(F.gelu(x))))


class ConvolutionStem(nn.Module):
    """Images at 1/2, 1/4, 1/8 and 1/16 of their size.

    Kernels of 4 (2 for the last step) at stride 2: the centre of a cell is the middle of the
    pixels that it stands for.
    """

    def __init__(self, channels: Sequence[int], dim: int) -> None:
        super().__init__()
        half, quarter, eighth = channels
        self.to_half = nn.Conv2d(3, half, 4, stride=2, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 4, stride=2, padding=1)
        self.norm_quarter = nn.GroupNorm(1, quarter)
        self.refine = ResidualConvolutions(quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 4, stride=2, padding=1)
        self.norm_eighth = nn.GroupNorm(1, eighth)
        self.to_patches = nn.Conv2d(eighth, dim, 2, stride=2)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images [B, 3, H, W] in 0..1 to patch tokens [B, N, dim] and the levels 1/8 and 1/4."""
        quarter = self.norm_quarter(self.to_quarter(F.gelu(self.to_half(2 * images - 1))))
        quarter = self.refine(quarter)
        eighth = self.norm_eighth(self.to_eighth(F.gelu(quarter)))
        patches = self.to_patches(F.gelu(eighth))
        return patches.flatten(2).transpose(1, 2), eighth, quarter

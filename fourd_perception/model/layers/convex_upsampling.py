"""Upsampling in which each fine pixel is a learned mean of the coarse cells around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

CELL = 4


def convex_upsample(
    coarse: torch.Tensor, logits: torch.Tensor, factor: int = CELL
) -> torch.Tensor:
    """Maps [B, C, h, w] at `factor` times the size [B, C, factor h, factor w].

    logits: [B, 9 * factor ** 2, h, w], of the weights of the 3x3 cells around for each of the
            factor x factor pixels
    """
    batch, channels, height, width = coarse.shape
    weights = logits.float().view(batch, 1, 9, factor, factor, height, width).softmax(2)
    padded = F.pad(coarse, (1, 1, 1, 1), mode='replicate')
    near = F.unfold(padded, 3).view(batch, channels, 9, 1, 1, height, width)
    fine = (weights * near).sum(2)  # [B, C, factor, factor, h, w]
    fine = fine.permute(0, 1, 4, 2, 5, 3)
    return fine.reshape(batch, channels, factor * height, factor * width)

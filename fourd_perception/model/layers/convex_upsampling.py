"""Upsampling by 4 in which each fine pixel is a learned mean of the coarse cells around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

CELL = 4


def convex_upsample(coarse: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, h, w] at 4 times the size [B, C, 4 h, 4 w].

    logits: [B, 9 * 16, h, w], of the weights of the 3x3 cells around for each of the 4x4 pixels
    """
    batch, channels, height, width = coarse.shape
    weights = logits.float().view(batch, 1, 9, CELL, CELL, height, width).softmax(2)
    padded = F.pad(coarse, (1, 1, 1, 1), mode='replicate')
    near = F.unfold(padded, 3).view(batch, channels, 9, 1, 1, height, width)
    fine = (weights * near).sum(2)  # [B, C, 4, 4, h, w]
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, CELL * height, CELL * width)

"""What masks of what moves are punished for (training.md 3.6)."""

from __future__ import annotations

from fourd_perception.geometry.clips import DYNAMIC, IGNORED
from fourd_perception.training.depth_loss import masked_mean
import torch
import torch.nn.functional as F


def mask_loss(logits: torch.Tensor, dynamic: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy and dice [n] of logits [n, F, H, W], over pixels that count.

    dynamic: uint8 of the same shape, `STATIC`, `DYNAMIC` or `IGNORED`
    Dice says something only of clips in which something moves: where nothing does, it would ask
    for nothing but the last false pixel.
    """
    counts, moving = dynamic != IGNORED, dynamic == DYNAMIC
    entropy = F.binary_cross_entropy_with_logits(logits, moving.float(), reduction='none')
    share = torch.where(counts, logits.sigmoid(), 0).flatten(1)
    hit = torch.where(moving.flatten(1), share, 0).sum(1)
    size = moving.flatten(1).sum(1)
    dice = 1 - 2 * hit / (share.sum(1) + size).clamp(min=1e-6)
    return masked_mean(entropy, counts) + torch.where(size > 0, dice, 0)

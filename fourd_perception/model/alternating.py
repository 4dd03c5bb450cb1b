"""Frame attention and a second attention in turns, keeping only the taps (VGGT A.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

Step = Callable[[nn.Module, torch.Tensor, int], torch.Tensor]


def alternate(
    tokens: torch.Tensor,
    frame_blocks: Iterable[nn.Module],
    second_blocks: Iterable[nn.Module],
    frame_step: Step,
    second_step: Step,
    group: int,
    taps: Sequence[int],
) -> dict[int, torch.Tensor]:
    """Run `group` frame blocks, then `group` second blocks, until all are through.

    tokens: [B, S, P, C]; a step takes (block, tokens, index of the block) and returns tokens
    Returns the taps asked for: [B, S, P, 2 C], frame output first, second output behind it, of
    the same position in the group.
    """
    frames, seconds = list(frame_blocks), list(second_blocks)
    if len(frames) != len(seconds) or len(frames) % group:
        raise ValueError(
            f'{len(frames)} frame blocks and {len(seconds)} others do not alternate in groups '
            f'of {group}; use equal numbers that the group divides'
        )
    kept = {}
    for start in range(0, len(frames), group):
        members = range(start, start + group)
        outputs = {}
        for i in members:
            tokens = frame_step(frames[i], tokens, i)
            outputs[i] = tokens
        for i in members:
            tokens = second_step(seconds[i], tokens, i)
            if i in taps:
                kept[i] = torch.cat([outputs[i], tokens], dim=-1)
    return kept

"""Two-dimensional rotary position embedding (VGGT A.4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class RotaryTable:
    """Cosines and sines of one frame's tokens.

    cos, sin: float32 [P, head_dim]; rows of special tokens are the identity (1, 0)
    """

    cos: torch.Tensor
    sin: torch.Tensor

    def repeat(self, frames: int) -> RotaryTable:
        """The table of `frames` frames in a row: frames share positions."""
        return RotaryTable(self.cos.repeat(frames, 1), self.sin.repeat(frames, 1))


def rotary_table(
    rows: int,
    columns: int,
    special: int,
    head_dim: int,
    base: float,
    device: torch.device | str,
) -> RotaryTable:
    """Table for `special` tokens at position (0, 0) and rows x columns patches after them.

    Patch (y, x) stands at (y + 1, x + 1). The first half of the head rotates with y, the second
    with x; in each half, angle k = position * base ** (-2 k / half), the angles repeated once.
    Raises ValueError when head_dim is no multiple of 4.
    """
    if head_dim % 4:
        raise ValueError(f'head dimension {head_dim} does not rotate in 2-D; use a multiple of 4')
    half = head_dim // 2
    exponent = torch.arange(0, half, 2, dtype=torch.float32, device=device) / half
    frequencies = base**-exponent
    y = torch.arange(1, rows + 1, device=device).repeat_interleave(columns)
    x = torch.arange(1, columns + 1, device=device).repeat(rows)
    positions = torch.stack([y, x], dim=1).float()
    positions = torch.cat([positions.new_zeros(special, 2), positions])
    angles = positions[:, :, None] * frequencies  # [P, 2, half / 2]
    angles = torch.cat([angles, angles], dim=2).flatten(1)
    return RotaryTable(angles.cos(), angles.sin())


def rotate(tokens: torch.Tensor, table: RotaryTable) -> torch.Tensor:
    """Rotate queries or keys [..., P, head_dim]; computed in the tokens' own precision."""
    quarter = tokens.shape[-1] // 4
    y1, y2, x1, x2 = tokens.split(quarter, dim=-1)
    turned = torch.cat([-y2, y1, -x2, x1], dim=-1)
    return tokens * table.cos + turned * table.sin

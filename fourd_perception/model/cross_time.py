"""Cross-time local fusion: frame attention, then a window along each view's time (B.5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fourd_perception.model.alternating import alternate
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.cross_view import TrunkTables
from fourd_perception.model.layers.attention import Attention
from fourd_perception.model.layers.rotary import RotaryTable
from fourd_perception.model.presets import NetworkConfig, TrunkConfig
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

Neighbours = tuple[torch.Tensor, torch.Tensor]


@lru_cache(maxsize=32)
def neighbours_of(layout: CellLayout, window: int, device: torch.device) -> Neighbours:
    """Index [S, window] (the cell itself where missing) and presence bool [S, window].

    Kept for layouts seen before, so that no forward waits for a copy to the device.
    """
    index = layout.temporal_neighbours(window)
    own = np.arange(len(layout))[:, None]
    return (
        torch.from_numpy(np.where(index < 0, own, index)).to(device),
        torch.from_numpy(index >= 0).to(device),
    )


class WindowAttention(Attention):
    """Every token of a frame reads all tokens of the same view's neighbouring instants.

    One learned bias per head and offset is added to the scaled logits; missing neighbours are
    masked out. Tokens are [B, S, P, C] here. (Released 4D-VGGT v1.0.)
    """

    def __init__(self, config: TrunkConfig, window: int) -> None:
        super().__init__(
            config.dim, config.heads, config.qk_norm, config.qkv_bias, config.proj_bias
        )
        self.relative_time_bias = nn.Parameter(torch.zeros(config.heads, window))

    def forward(  # type: ignore[override]
        self, x: torch.Tensor, rotary: RotaryTable, neighbours: Neighbours
    ) -> torch.Tensor:
        """Tokens [B, S, P, C] to tokens."""
        batch, frames, count, _ = x.shape
        index, present = neighbours
        q, k, v = self.queries_keys_values(x.flatten(0, 1), rotary)
        k, v = (self._gather(t, batch, frames, index) for t in (k, v))
        bias = self.relative_time_bias.to(q.dtype)[None]
        bias = bias.masked_fill(~present[:, None], float('-inf'))  # [S, heads, window]
        bias = bias.repeat_interleave(count, dim=-1)[:, :, None].repeat(batch, 1, 1, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.merge(out).view_as(x)

    @staticmethod
    def _gather(t: torch.Tensor, batch: int, frames: int, index: torch.Tensor) -> torch.Tensor:
        """[B S, heads, P, d] to the keys of every frame's window [B S, heads, window P, d]."""
        gathered = t.unflatten(0, (batch, frames))[:, index]  # [B, S, window, heads, P, d]
        return gathered.flatten(0, 1).transpose(1, 2).flatten(2, 3)


class GruAttention(nn.Module):
    """A GRU runs over each token's window; its last state is key and value (B.5, the paper).

    The query is the centre frame's token; attention stays within the frame.
    """

    def __init__(self, config: TrunkConfig, window: int) -> None:
        super().__init__()
        self.gru = nn.GRUCell(config.dim, config.dim)
        self.attention = Attention(
            config.dim, config.heads, config.qk_norm, config.qkv_bias, config.proj_bias
        )
        self.window = window

    def forward(
        self, x: torch.Tensor, rotary: RotaryTable, neighbours: Neighbours
    ) -> torch.Tensor:
        """Tokens [B, S, P, C] to tokens."""
        index, present = neighbours
        state = torch.zeros_like(x).flatten(0, 2)
        for offset in range(self.window):
            step = x[:, index[:, offset]].flatten(0, 2)
            here = present[:, offset, None, None].expand(*x.shape[:3], 1).flatten(0, 2)
            state = torch.where(here, self.gru(step, state), state)
        q, _, _ = self.attention.queries_keys_values(x.flatten(0, 1), rotary)
        _, k, v = self.attention.queries_keys_values(state.view_as(x).flatten(0, 1), rotary)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.attention.merge(out).view_as(x)


def window_sum(x: torch.Tensor, weight: torch.Tensor, neighbours: Neighbours) -> torch.Tensor:
    """Sum of each token's window in tokens [B, R, P, C], weighted by `weight` [window, C].

    Neighbours [S, window] point into the R cells read; returns [B, S, P, C].
    """
    index, present = neighbours
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for offset in range(len(weight)):
        here = present[:, offset, None, None]
        total = total + x[:, index[:, offset]] * (weight[offset] * here)
    return total


class TemporalConvolution(nn.Module):
    """A depth-wise convolution over the window of each token (B.14); starts at zero."""

    def __init__(self, config: TrunkConfig, window: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(window, config.dim))

    def forward(
        self, x: torch.Tensor, rotary: RotaryTable, neighbours: Neighbours
    ) -> torch.Tensor:
        """Tokens [B, S, P, C] to tokens; missing neighbours count as zero."""
        return window_sum(x, self.weight, neighbours)


TEMPORAL = {
    'window_attention': WindowAttention,
    'gru': GruAttention,
    'conv': TemporalConvolution,
}


class CrossTimeLocalFusion(nn.Module):
    """Frame blocks of its own and temporal blocks, from the tokens that cross-view reads too."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        trunk = config.trunk
        if config.window < 1 or config.window % 2 == 0:
            raise ValueError(f'temporal window {config.window}; use a positive odd number')
        if config.temporal not in TEMPORAL:
            raise ValueError(
                f'temporal branch {config.temporal!r} is not known; use one of {sorted(TEMPORAL)}'
            )
        mix = TEMPORAL[config.temporal]
        self.config, self.window = trunk, config.window
        self.frame_blocks = nn.ModuleList(trunk.block() for _ in range(trunk.depth))
        self.temporal_blocks = nn.ModuleList(
            trunk.block(attention=mix(trunk, config.window)) for _ in range(trunk.depth)
        )

    def forward(
        self,
        tokens: torch.Tensor,
        layout: CellLayout,
        tables: TrunkTables,
        taps: Sequence[int] | None = None,
    ) -> dict[int, torch.Tensor]:
        """Taps [B, S, P, 2 C] of tokens [B, S, P, C]."""
        neighbours = neighbours_of(layout, self.window, tokens.device)

        def frame_step(block: nn.Module, x: torch.Tensor, _: int) -> torch.Tensor:
            return block(x.flatten(0, 1), tables.rotary).unflatten(0, x.shape[:2])

        def temporal_step(block: nn.Module, x: torch.Tensor, _: int) -> torch.Tensor:
            return block(x, tables.rotary, neighbours)

        return alternate(
            tokens,
            self.frame_blocks,
            self.temporal_blocks,
            frame_step,
            temporal_step,
            self.config.group,
            self.config.taps if taps is None else taps,
        )

"""Attention over all cells of a grid, or over a band of slices with a cache of past ones."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.layers.attention import Attention
from fourd_perception.model.layers.rotary import RotaryTable
from fourd_perception.model.small.grid_plan import GridPlan
from fourd_perception.model.small.stream import Memory
from fourd_perception.model.small.time_bias import TimeBias
import torch
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class Reading:
    """How the cells of a grid read each other in one layer.

    waves:  [B, S, 2, F] of the frames' stamps (`time_waves`)
    memory: where a stream keeps this layer's keys and values; None without a stream
    """

    plan: GridPlan
    waves: torch.Tensor
    memory: Memory | None = None


class GlobalAttention(Attention):
    """Tokens [B, S, P, C] of all cells read each other, with a bias by the time between them."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__(dim, heads, qk_norm=True)
        self.time_bias = TimeBias(heads)

    def forward(  # type: ignore[override]
        self, x: torch.Tensor, rotary: RotaryTable | None, reading: Reading
    ) -> torch.Tensor:
        """Tokens [B, S, P, C] to the same; `rotary` of all S P tokens."""
        count = x.shape[2]
        q, k, v = self.queries_keys_values(x.flatten(1, 2), rotary)
        head_dim = q.shape[-1]
        bias_q, bias_k = self.time_bias.queries_keys(reading.waves)
        q = _append(q, bias_q * head_dim**0.5, count)
        k = _append(k, bias_k, count)
        # Fused kernels want values as wide as keys.
        v = F.pad(v, (0, bias_k.shape[-1]))
        scale = head_dim**-0.5
        if reading.plan.band is None:
            out = F.scaled_dot_product_attention(q, k, v, scale=scale)
        else:
            out = _attend_band(q, k, v, reading, count, scale)
        return self.merge(out[..., :head_dim]).view_as(x)


def _append(heads: torch.Tensor, extra: torch.Tensor, count: int) -> torch.Tensor:
    """[B, heads, S count, d] with the frames' numbers [B, heads, S, e] behind the tokens'."""
    extra = extra.to(heads.dtype)[:, :, :, None].expand(-1, -1, -1, count, -1)
    return torch.cat([heads, extra.flatten(2, 3)], dim=-1)


def _attend_band(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    reading: Reading,
    count: int,
    scale: float,
) -> torch.Tensor:
    """Let each slice read itself and the band - 1 slices before it.

    Tokens stand in time order, so that a band is a stretch of keys: no mask, no gathering.
    """
    plan, memory = reading.plan, reading.memory
    band = plan.band
    assert band is not None
    past = plan.past[max(0, len(plan.past) - (band - 1)) :]
    if memory is not None and memory.held is not None:
        k, v = (torch.cat([old, new], dim=2) for old, new in zip(memory.held, (k, v)))
    starts = [0]
    for views in (*past, *plan.slices):
        starts.append(starts[-1] + count * len(views))
    parts = []
    for t, queries in enumerate(q.split([count * len(views) for views in plan.slices], dim=2)):
        end = len(past) + t + 1
        keys = slice(starts[max(0, end - band)], starts[end])
        parts.append(
            F.scaled_dot_product_attention(queries, k[:, :, keys], v[:, :, keys], scale=scale)
        )
    if memory is not None:
        kept = starts[max(0, len(starts) - band)]
        memory.held = k[:, :, kept:], v[:, :, kept:]
    return torch.cat(parts, dim=2)

"""Multi-head self-attention with the options of the VGGT family (VGGT A.2, A.5)."""

from __future__ import annotations

from collections.abc import Callable

from fourd_perception.model.layers.rotary import RotaryTable, rotate
import torch
from torch import nn
import torch.nn.functional as F

Observe = Callable[[torch.Tensor, torch.Tensor], None]


class Attention(nn.Module):
    """Self-attention: one qkv projection, optional per-head q/k LayerNorm, rotary positions."""

    def __init__(
        self,
        dim: int,
        heads: int,
        qk_norm: bool = False,
        qkv_bias: bool = True,
        proj_bias: bool = True,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f'width {dim} does not divide into {heads} heads')
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.q_norm = nn.LayerNorm(dim // heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(dim // heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(dim, dim, bias=proj_bias)

    def queries_keys_values(
        self, x: torch.Tensor, rotary: RotaryTable | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Three [B, heads, N, head_dim] of tokens [B, N, dim], normalised and rotated."""
        batch, count, dim = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None:
            q, k = rotate(q, rotary), rotate(k, rotary)
        # Under autocast the norms and the rotation run in float32; the kernel wants one type.
        return q.to(v.dtype), k.to(v.dtype), v

    def merge(self, heads: torch.Tensor) -> torch.Tensor:
        """Project attended values [B, heads, N, head_dim] back to tokens [B, N, dim]."""
        return self.proj(heads.transpose(1, 2).flatten(2))

    def forward(
        self,
        x: torch.Tensor,
        rotary: RotaryTable | None = None,
        mask: torch.Tensor | None = None,
        observe: Observe | None = None,
    ) -> torch.Tensor:
        """Attend among tokens [B, N, dim].

        mask:    bool, broadcastable to [B, heads, N, N], True where a query may read a key
        observe: called with the queries and keys [B, heads, N, head_dim], normed and rotated
        """
        q, k, v = self.queries_keys_values(x, rotary)
        if observe is not None:
            observe(q, k)
        return self.merge(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))

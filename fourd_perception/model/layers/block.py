"""The pre-norm transformer block with layer scale (VGGT A.5)."""

from __future__ import annotations

from typing import Any

from fourd_perception.model.layers.attention import Attention
from fourd_perception.model.layers.rotary import RotaryTable
import torch
from torch import nn


class LayerScale(nn.Module):
    """A learned gain per channel."""

    def __init__(self, dim: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), initial))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., dim] times gamma."""
        return x * self.gamma


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, dim: int, hidden: int, out: int | None = None, bias: bool = True) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden, bias=bias)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim if out is None else out, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., dim] to [..., out]."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """x + ls1 * attention(norm1(x)), then x + ls2 * mlp(norm2(x)).

    attention: any module taking (tokens, rotary, ...); the plain `Attention` by default
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_ratio: float = 4.0,
        qk_norm: bool = False,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        ffn_bias: bool = True,
        layer_scale: float = 0.01,
        norm_eps: float = 1e-5,
        attention: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        if attention is None:
            attention = Attention(dim, heads, qk_norm, qkv_bias, proj_bias)
        self.attn = attention
        self.ls1 = LayerScale(dim, layer_scale)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), bias=ffn_bias)
        self.ls2 = LayerScale(dim, layer_scale)

    def forward(
        self,
        x: torch.Tensor,
        rotary: RotaryTable | None = None,
        *options: Any,
    ) -> torch.Tensor:
        """Tokens [B, N, dim] to tokens; `options` go to the attention (mask, observe)."""
        x = x + self.ls1(self.attn(self.norm1(x), rotary, *options))
        return x + self.ls2(self.mlp(self.norm2(x)))

"""The transformer block that all attention of `tiny` is made of."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class AttentionBlock(nn.Module):
    """Pre-norm self-attention and MLP over sequences of tokens [B, S, C] -> [B, S, C]."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.merge_heads = nn.Linear(dim, dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Every token of a sequence reads all tokens of the same sequence."""
        batch, length, dim = tokens.shape
        joint = self.query_key_value(self.attention_norm(tokens))
        query, key, value = joint.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.merge_heads(read.transpose(1, 2).reshape(batch, length, dim))
        return tokens + self.mlp(self.mlp_norm(tokens))

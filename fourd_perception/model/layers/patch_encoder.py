"""Image to patch tokens: a plain convolution, or a DINOv2 vision transformer (VGGT A.2)."""

from __future__ import annotations

from fourd_perception.model.layers.block import Block
import torch
from torch import nn
import torch.nn.functional as F


class PatchConvolution(nn.Module):
    """A strided convolution: images [B, 3, H, W] to tokens [B, N, dim], row by row."""

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, H, W] to [B, N, dim]."""
        return self.proj(images).flatten(2).transpose(1, 2)


class DinoEncoder(nn.Module):
    """DINOv2 with registers: only the patch tokens of the last layer, after the norm.

    LayerNorm eps is 1e-6 here, 1e-5 everywhere else. The stored positional grid is square.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        patch: int,
        image_size: int = 518,
        mlp_ratio: float = 4.0,
        registers: int = 4,
        layer_scale: float = 1.0,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        ffn_bias: bool = True,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.patch_embed = PatchConvolution(dim, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (image_size // patch) ** 2, dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, dim))
        # Published checkpoints carry it; only DINOv2's own training ever read it.
        self.mask_token = nn.Parameter(torch.zeros(1, dim), requires_grad=False)
        self.blocks = nn.ModuleList(
            Block(dim, heads, mlp_ratio, False, qkv_bias, proj_bias, ffn_bias, layer_scale, 1e-6)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, images: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
        """Images [B, 3, H, W], normalised, to patch tokens [B, N, dim].

        positions: what `positions(rows, columns)` gave for this size, if it is at hand
        """
        if positions is None:
            positions = self.positions(
                images.shape[-2] // self.patch, images.shape[-1] // self.patch
            )
        patches = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], dim=1)
        tokens = tokens + positions
        registers = self.register_tokens.expand(len(images), -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)[:, 1 + registers.shape[1] :]

    def positions(self, rows: int, columns: int) -> torch.Tensor:
        """Positional embedding [1, 1 + rows * columns, dim] for a grid of patches.

        Bicubic with antialiasing from the stored square grid, in float32; the stored one itself
        when the grid equals it.
        """
        side = round((self.pos_embed.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
        grid = F.interpolate(
            grid, size=(rows, columns), mode='bicubic', antialias=True, align_corners=False
        )
        grid = grid.flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1].float(), grid], dim=1).to(self.pos_embed.dtype)

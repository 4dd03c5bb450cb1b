"""Tokens and the image pyramid to depth at image size, and to features for other dense tasks."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.layers.convex_upsampling import CELL, convex_upsample
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.small.stem import ResidualConvolutions
import torch
from torch import nn
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class DecodedCells:
    """Dense predictions of n cells.

    log_depth: float32 [B, n, H, W], logarithm of the depth along the optical axis
    log_sigma: float32 [B, n, H, W], logarithm of the scale of the error of `log_depth`
    features:  [B, n, C, H/4, W/4], for the mask head
    """

    log_depth: torch.Tensor
    log_sigma: torch.Tensor
    features: torch.Tensor


class Decoder(nn.Module):
    """One decoder for all dense tasks: up to 1/8 and 1/4 beside the stem, then convexly by 4."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        eighth, quarter = config.decoder
        self.norm = nn.LayerNorm(config.dim)
        self.from_tokens = nn.Conv2d(config.dim, eighth, 1)
        self.skip_eighth = nn.Conv2d(config.stem[2], eighth, 1)
        self.refine_eighth = ResidualConvolutions(eighth)
        self.to_quarter = nn.Conv2d(eighth, quarter, 1)
        self.skip_quarter = nn.Conv2d(config.stem[1], quarter, 1)
        self.refine_quarter = ResidualConvolutions(quarter)
        self.hidden = nn.Conv2d(quarter, 2 * quarter, 3, padding=1)
        self.output = nn.Conv2d(2 * quarter, 2, 1)
        self.weights = nn.Conv2d(2 * quarter, 9 * CELL**2, 1)

    def forward(
        self, patches: torch.Tensor, eighth: torch.Tensor, quarter: torch.Tensor
    ) -> DecodedCells:
        """Tokens [B, n, N, dim] and the stem's levels [B, n, c, h, w] of the same cells."""
        cells = patches.shape[:2]
        rows, columns = (side // 2 for side in eighth.shape[-2:])
        x = self.norm(patches).flatten(0, 1).transpose(1, 2).unflatten(2, (rows, columns))
        x = _double(self.from_tokens(x)) + self.skip_eighth(F.gelu(eighth.flatten(0, 1)))
        x = self.refine_eighth(x)
        x = _double(self.to_quarter(x)) + self.skip_quarter(F.gelu(quarter.flatten(0, 1)))
        features = self.refine_quarter(x)
        hidden = F.gelu(self.hidden(F.gelu(features)))
        with torch.autocast(x.device.type, enabled=False):
            # Depth keeps the digits that bf16 would drop.
            kind = self.output.weight.dtype
            coarse = self.output(hidden.to(kind)).float()
        fine = convex_upsample(coarse, self.weights(hidden)).unflatten(0, cells)
        return DecodedCells(fine[:, :, 0], fine[:, :, 1], features.unflatten(0, cells))


def _double(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)

"""Optical flow between two images, both ways, with its uncertainty and occlusion (spec B.15)."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.heads.flow_correlation import Correlation, fixed_descriptor
from fourd_perception.model.heads.flow_encoder import FlowEncoder, STRIDE
from fourd_perception.model.heads.flow_update import FlowUpdate
from fourd_perception.model.layers.convex_upsampling import CELL, convex_upsample
import torch
from torch import nn
from torch.nn import functional as F

TOKEN_DROPOUT = 0.5
# Forward and backward flow may disagree by this share of their lengths and this many pixels.
DISAGREEMENT = (0.1, 0.7)


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the flow module.

    levels, radius: of the correlation lookups, at 1/4 of the image
    updates:        of the GRU
    width:          channels of features, context and hidden state
    token_dim:      channels of the trunk tokens that it can take as context; 0: none
    pyramid:        channels of the image encoder at 1/2, 1/4, 1/8 and 1/16
    """

    levels: int = 3
    radius: int = 4
    updates: int = 4
    width: int = 64
    token_dim: int = 0
    pyramid: tuple[int, int, int, int] = (32, 64, 96, 128)


@dataclass(frozen=True, eq=False)
class FlowEstimate:
    """Flow from one image to another, pixels, u right, v down.

    flow:      float32 [B, 2, H, W]
    log_scale: float32 [B, 1, H, W], logarithm of the expected length of the error, pixels
    coarse:    flow after each update but the last, float32 [B, 2, H, W], for the sequence loss
    """

    flow: torch.Tensor
    log_scale: torch.Tensor
    coarse: tuple[torch.Tensor, ...]


class FlowModule(nn.Module):
    """Recurrent refinement over learned and fixed correlation, under any trunk or alone."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = FlowEncoder(2 * width, config.pyramid)
        self.tokens = nn.Conv2d(config.token_dim, width, 1) if config.token_dim else None
        if self.tokens is not None:
            for parameter in self.tokens.parameters():
                nn.init.zeros_(parameter)
        self.context = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.update = FlowUpdate(config.levels, 2, config.radius, width)
        self.finish = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU())
        self.upsampling = nn.Conv2d(2 * width, 9 * CELL**2, 1)
        self.log_scale = nn.Conv2d(2 * width, 1, 1)

    def forward(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        first_tokens: torch.Tensor | None = None,
        second_tokens: torch.Tensor | None = None,
        stored: bool | None = None,
    ) -> tuple[FlowEstimate, FlowEstimate]:
        """Flow from the first images to the second, and back.

        first, second: [B, 3, H, W] in 0..1, any size of at least 4 * 2 ** (levels - 1) px a
                       side; padded inside to multiples of 16
        tokens:        optional [B, token_dim, rows, columns], the trunk's patch tokens of each
                       image; dropped for half of the pairs while training
        stored:        how the correlation is kept, see `Correlation`
        Features are computed once for both directions. Raises ValueError on other shapes.
        """
        self._check(first, second, first_tokens, second_tokens)
        batch, _, height, width = first.shape
        images = F.pad(
            torch.cat([first, second]), (0, -width % STRIDE, 0, -height % STRIDE), mode='replicate'
        )
        # Halves of the batch: the first images, then the second ones.
        features, context = self.encoder(images).chunk(2, dim=1)
        if self.tokens is not None and first_tokens is not None and second_tokens is not None:
            context = context + self._token_context(first_tokens, second_tokens, context)
        maps = (fixed_descriptor(images), F.normalize(features.float(), dim=1))
        levels, radius = self.config.levels, self.config.radius
        correlations = [Correlation(m, m.roll(batch, 0), levels, radius, stored) for m in maps]
        hidden, flows = self._refine(self.context(context.relu()), correlations)
        finish = self.finish(hidden)
        log_scale = self.log_scale(finish).float()
        fine = convex_upsample(
            torch.cat([CELL * flows[-1], log_scale], dim=1), self.upsampling(finish)
        )
        fine = fine[..., :height, :width]
        coarse = [_bilinear(CELL * flow)[..., :height, :width] for flow in flows[:-1]]
        forward, backward = (
            FlowEstimate(part[:, :2], part[:, 2:], tuple(c.chunk(2)[i] for c in coarse))
            for i, part in enumerate(fine.chunk(2))
        )
        return forward, backward

    def _refine(
        self, context: torch.Tensor, correlations: list[Correlation]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Hidden state, and the flow in cells after every update, from zero."""
        size = context.shape[2:]
        width = self.config.width
        hidden, context = context[:, :width].tanh(), context[:, width:]
        cells = _cells(size[0], size[1], context.device)
        flow = torch.zeros(len(context), 2, *size, device=context.device)
        flows = []
        for _ in range(self.config.updates):
            flow = flow.detach()
            points = cells + flow.flatten(2).transpose(1, 2)
            windows = [w for c in correlations for w in c.lookup(points)]
            hidden, flow = self.update(hidden, context, flow, windows)
            flows.append(flow)
        return hidden, flows

    def _token_context(
        self, first: torch.Tensor, second: torch.Tensor, context: torch.Tensor
    ) -> torch.Tensor:
        assert self.tokens is not None
        tokens = F.interpolate(
            self.tokens(torch.cat([first, second])),
            size=context.shape[2:],
            mode='bilinear',
            align_corners=False,
        )
        if not self.training:
            return tokens
        kept = torch.rand(len(first), 1, 1, 1, device=tokens.device) >= TOKEN_DROPOUT
        return tokens * kept.repeat(2, 1, 1, 1)

    def _check(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        first_tokens: torch.Tensor | None,
        second_tokens: torch.Tensor | None,
    ) -> None:
        if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 3:
            raise ValueError(
                f'images of shapes {tuple(first.shape)} and {tuple(second.shape)} are no pairs; '
                'give two of one shape [B, 3, H, W]'
            )
        weight = next(self.parameters())
        kinds = {(image.dtype, image.device) for image in (first, second)}
        if kinds != {(weight.dtype, weight.device)}:
            raise ValueError(
                f'images of {first.dtype} on {first.device} and {second.dtype} on '
                f'{second.device}; this flow module reads {weight.dtype} on {weight.device}'
            )
        least = CELL * 2 ** (self.config.levels - 1)
        if min(first.shape[2:]) < least:
            raise ValueError(
                f'images of {first.shape[3]}x{first.shape[2]} px are too small for '
                f'{self.config.levels} levels of correlation; give at least {least} px a side'
            )
        if (first_tokens is None) != (second_tokens is None):
            raise ValueError('tokens of one image only; give those of both images or of none')
        if first_tokens is not None and self.tokens is None:
            raise ValueError('this flow module takes no tokens; make it with token_dim set')


def occluded(flow: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """Where flow [B, 2, H, W] leads out of the other image, or to what moves elsewhere.

    back: the flow of the other image, [B, 2, H, W]. Both in pixels; where they disagree by more
    than `DISAGREEMENT` the surface is taken for hidden. Returns bool [B, 1, H, W].
    """
    height, width = flow.shape[2:]
    x, y = _cells(height, width, flow.device).T.unflatten(1, (height, width))
    x, y = x + flow[:, 0], y + flow[:, 1]
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    there = F.grid_sample(back, grid, padding_mode='border', align_corners=False)
    share, pixels = DISAGREEMENT
    limit = share * (flow.norm(dim=1) + there.norm(dim=1)) + pixels
    return (outside | ((flow + there).norm(dim=1) > limit))[:, None]


def _cells(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Places (x, y) of all cells, float32 [height * width, 2]."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def _bilinear(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=CELL, mode='bilinear', align_corners=False)

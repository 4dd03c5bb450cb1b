"""Optical flow between two images, both ways, with its uncertainty and occlusion (spec B.15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.model.heads.flow_alignment import align, normalised, sampled
from fourd_perception.model.heads.flow_correlation import Correlation, fixed_descriptor
from fourd_perception.model.heads.flow_encoder import FlowEncoder, STRIDE
from fourd_perception.model.heads.flow_pyramid import pyramid_flow
from fourd_perception.model.heads.flow_refinement import FlowRefinement
from fourd_perception.model.heads.flow_update import FINENESS, FlowUpdate
from fourd_perception.model.layers.convex_upsampling import CELL
import torch
from torch import nn
from torch.nn import functional as F

TOKEN_DROPOUT = 0.5
# Forward and backward flow may disagree by this share of their lengths and this many pixels.
DISAGREEMENT = (0.1, 0.7)
# Sides of the windows of the two alignments of an update and of those at 1/2 and full size.
WINDOWS = (5, 5, 5, 7)


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the flow module.

    levels, radius: of the correlation lookups, at 1/4 of the image; levels of the fixed
                    descriptor, and of the learned features; one of them may have none
    updates:        of the GRU, at 1/4
    width:          channels of features, context and hidden state
    fine_updates:   at 1/2 and at full size
    fine_width:     channels of the state there
    token_dim:      channels of the trunk tokens that it can take as context; 0: none
    pyramid:        channels of the image encoder at 1/2, 1/4, 1/8 and 1/16
    """

    levels: tuple[int, int] = (3, 1)
    radius: int = 4
    updates: int = 3
    width: int = 64
    fine_updates: tuple[int, int] = (1, 1)
    fine_width: tuple[int, int] = (32, 16)
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
    """A first flow without parameters, and its refinement; under any trunk or alone.

    At 1/4 a recurrent network weighs what correlation, alignment and neighbours say; at 1/2 and
    at full size a small one says which neighbours an alignment shall heed.
    """

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        if not any(config.levels):
            raise ValueError(
                'levels (0, 0): give the correlation of one kind of features at least 1'
            )
        self.config = config
        width = config.width
        self.encoder = FlowEncoder(2 * width, config.pyramid)
        self.tokens = nn.Conv2d(config.token_dim, width, 1) if config.token_dim else None
        if self.tokens is not None:
            for parameter in self.tokens.parameters():
                nn.init.zeros_(parameter)
        self.context = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.update = FlowUpdate(config.levels, config.radius, width)
        half, full = config.fine_width
        self.at_half = FlowRefinement(width, half, config.fine_updates[0], WINDOWS[2])
        self.at_full = FlowRefinement(half, full, config.fine_updates[1], WINDOWS[3])
        self.log_scale = nn.Conv2d(full, 1, 3, padding=1)

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
        maps = self._maps(images, features)
        pictures = [normalised(F.avg_pool2d(images.float(), n)) for n in (4, 2, 1)]
        state, quarter = self._updated(
            pyramid_flow(images), self.context(context.relu()), maps, pictures[:2], stored
        )
        state, half = self.at_half(state, quarter[-1], pictures[1])
        state, full = self.at_full(state, half[-1], pictures[2])
        log_scale = self.log_scale(state).float()[..., :height, :width]
        flows = [
            _enlarged(flow, CELL // 2**i)[..., :height, :width]
            for i, level in enumerate((quarter, half, full))
            for flow in level
        ]
        forward, backward = (
            FlowEstimate(found[-1], scale, found[:-1])
            for found, scale in zip(zip(*(f.chunk(2) for f in flows)), log_scale.chunk(2))
        )
        return forward, backward

    def _updated(
        self,
        flow: torch.Tensor,
        context: torch.Tensor,
        maps: Sequence[torch.Tensor],
        pictures: Sequence[torch.Tensor],
        stored: bool | None,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Hidden state, and the flow in cells after every update.

        maps:     of both images, [2 B, C, h, w], whose products tell how well places match
        pictures: normalised images with `FINENESS` pixels along a cell
        """
        batch, size, config = len(flow) // 2, flow.shape[2:], self.config
        partners = [m.roll(batch, 0) for m in maps]
        correlations = [
            Correlation(own, other, levels, config.radius, stored)
            for own, other, levels in zip(maps, partners, filter(None, config.levels))
        ]
        rest = (maps[0] * partners[0]).sum(1, keepdim=True)
        hidden, context = context[:, : config.width].tanh(), context[:, config.width :]
        cells = _cells(size[0], size[1], context.device)
        flows: list[torch.Tensor] = []
        for _ in range(config.updates):
            flow = flow.detach()
            points = cells + flow.flatten(2).transpose(1, 2)
            windows = [w for c in correlations for w in c.lookup(points)]
            alignments = [
                align(picture, _enlarged(flow, fine), window).pooled(fine)
                for picture, fine, window in zip(pictures, FINENESS, WINDOWS)
            ]
            hidden, flow = self.update(hidden, context, flow, rest, windows, alignments)
            flows.append(flow)
        return hidden, flows

    def _maps(self, images: torch.Tensor, features: torch.Tensor) -> list[torch.Tensor]:
        """What is correlated: fixed descriptor and learned features, where they have levels."""
        fixed, learned = self.config.levels
        maps = [fixed_descriptor(images)] if fixed else []
        return [*maps, F.normalize(features.float(), dim=1)] if learned else maps

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
        levels = max(self.config.levels)
        least = CELL * 2 ** (levels - 1)
        if min(first.shape[2:]) < least:
            raise ValueError(
                f'images of {first.shape[3]}x{first.shape[2]} px are too small for '
                f'{levels} levels of correlation; give at least {least} px a side'
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
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    there = sampled(back, flow)
    share, pixels = DISAGREEMENT
    limit = share * (flow.norm(dim=1) + there.norm(dim=1)) + pixels
    return (outside | ((flow + there).norm(dim=1) > limit))[:, None]


def _cells(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Places (x, y) of all cells, float32 [height * width, 2]."""
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def _enlarged(flow: torch.Tensor, factor: int) -> torch.Tensor:
    """Flow [B, 2, h, w] at `factor` times the size, in pixels of that size."""
    if factor == 1:
        return flow
    return F.interpolate(factor * flow, scale_factor=factor, mode='bilinear', align_corners=False)

"""`fourd-small` as a whole (training.md 3.1-3.5)."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.fusion import SpatiotemporalDenseFusion
from fourd_perception.model.heads.flow import FlowModule
from fourd_perception.model.heads.residual_motion import ResidualMotionHead
from fourd_perception.model.layers.block import Block
from fourd_perception.model.layers.rotary import rotary_table, RotaryTable
from fourd_perception.model.small.attention import GlobalAttention, Reading
from fourd_perception.model.small.camera import CameraHead, Cameras
from fourd_perception.model.small.config import PATCH, SmallConfig
from fourd_perception.model.small.decoder import DecodedCells, Decoder
from fourd_perception.model.small.grid_plan import grid_plan, GridPlan
from fourd_perception.model.small.rays import patch_points, RayEmbedding
from fourd_perception.model.small.stem import ConvolutionStem
from fourd_perception.model.small.stream import StreamState
from fourd_perception.model.small.temporal import StreamedConvolution
from fourd_perception.model.small.time_bias import time_waves
import torch
from torch import nn


@dataclass(frozen=True, eq=False)
class SmallTables:
    """What depends on the image size alone, computed once per size.

    encoder: rotary table of one frame's patches
    trunk:   the same with the camera token in front
    pixels:  [N, 5, 2], where the rays of each patch go through
    """

    height: int
    width: int
    encoder: RotaryTable
    trunk: RotaryTable
    pixels: torch.Tensor


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """What the encoder makes of each frame alone: fit for caching, and for clustering.

    tokens:  [B, S, N, dim], after the norm
    eighth, quarter: [B, S, c, H/8, W/8] and [B, S, c, H/4, W/4], which only cells that are
             decoded need
    """

    tokens: torch.Tensor
    eighth: torch.Tensor
    quarter: torch.Tensor


@dataclass(frozen=True, eq=False)
class Identifiers:
    """What is known of each cell beside its image.

    intrinsics: [B, S, 3, 3] of the network image in pixels, NaN where unknown
    cameras:    int64 [B, S], rows of the table of camera identities, -1 where unknown; None: all
                unknown. While training, a random choice for each clip
    seconds:    float64 [B, S], when each frame was taken, from any origin, NaN where unknown;
                None: all unknown
    """

    intrinsics: torch.Tensor
    cameras: torch.Tensor | None = None
    seconds: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class TrunkFeatures:
    """What the heads read: [B, S, N, dim] for dense ones, [B, S, dim] for the camera head."""

    patches: torch.Tensor
    cameras: torch.Tensor


class FourdSmall(nn.Module):
    """Encoder, cross-view and cross-time branch, camera head, decoder, mask head, flow module.

    No cell is the reference inside: the world is chosen when poses are composed.
    """

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        if config.window < 1 or config.window % 2 == 0:
            raise ValueError(f'temporal window {config.window}; use a positive odd number')
        self.config = config
        dim, heads, scale = config.dim, config.heads, config.layer_scale

        def frame_block() -> Block:
            return Block(dim, heads, config.mlp_ratio, qk_norm=True, layer_scale=scale)

        def block(attention: nn.Module, ratio: float) -> Block:
            return Block(dim, heads, ratio, layer_scale=scale, attention=attention)

        self.stem = ConvolutionStem(config.stem, dim)
        self.encoder_blocks = nn.ModuleList(frame_block() for _ in range(config.encoder_depth))
        self.encoder_norm = nn.LayerNorm(dim)
        self.rays = RayEmbedding(dim) if config.rays else None
        # The last row stands for a camera that is not known.
        self.camera_identity = nn.Embedding(config.cameras + 1, dim)
        nn.init.normal_(self.camera_identity.weight, std=0.02)
        self.camera_token = nn.Parameter(0.02 * torch.randn(dim))
        self.frame_blocks = nn.ModuleList(frame_block() for _ in range(config.pairs))
        self.global_blocks = nn.ModuleList(
            block(GlobalAttention(dim, heads), config.mlp_ratio) for _ in range(config.pairs)
        )
        self.temporal_blocks = nn.ModuleList(
            block(StreamedConvolution(dim, config.window), config.temporal_mlp_ratio)
            for _ in range(config.temporal_depth)
        )
        self.fusion = SpatiotemporalDenseFusion(dim, taps=(0,))
        self.camera_head = CameraHead(config)
        self.decoder = Decoder(config)
        self.mask_head = ResidualMotionHead(config.decoder[1], config.mask)
        self.flow_module = None if config.flow is None else FlowModule(config.flow)

    @property
    def trunk_parts(self) -> list[nn.Module]:
        """Encoder and trunk."""
        return [
            self.stem,
            self.encoder_blocks,
            *([] if self.rays is None else [self.rays]),
            self.frame_blocks,
            self.global_blocks,
            self.temporal_blocks,
            self.fusion,
        ]

    def tables(self, height: int, width: int) -> SmallTables:
        """Tables for images of this size in pixels; ValueError unless multiples of 16."""
        if height % PATCH or width % PATCH or min(height, width) < PATCH:
            raise ValueError(
                f'images of {width}x{height} do not divide into patches of {PATCH}; '
                f'resize to multiples of {PATCH}'
            )
        device = self.camera_token.device
        rows, columns = height // PATCH, width // PATCH
        head_dim, base = self.config.dim // self.config.heads, self.config.rope_base
        encoder, trunk = (
            rotary_table(rows, columns, special, head_dim, base, device) for special in (0, 1)
        )
        return SmallTables(height, width, encoder, trunk, patch_points(rows, columns, device))

    def plan(
        self, layout: CellLayout, band: int | None = None, state: StreamState | None = None
    ) -> GridPlan:
        """Who reads whom: all cells each other, or bands of slices; computed once per layout.

        state: of the stream that the cells continue, whose band holds
        """
        past = () if state is None else state.slices
        band = band if state is None else state.band
        return grid_plan(layout, self.config.window, self.camera_token.device, band, past)

    def camera_identities(self, layout: CellLayout) -> torch.Tensor:
        """int64 [1, S] for inference: the view's number, unknown (-1) beyond the table."""
        ids = [v if v < self.config.cameras else -1 for v in layout.view_id]
        return torch.tensor([ids], device=self.camera_token.device)

    def encode(self, images: torch.Tensor, tables: SmallTables) -> FrameFeatures:
        """Features of images [B, S, 3, H, W] in 0..1; a frame's depend on its pixels alone."""
        x, eighth, quarter = self.stem(images.flatten(0, 1))
        for block in self.encoder_blocks:
            x = block(x, tables.encoder)
        cells = images.shape[:2]
        return FrameFeatures(
            self.encoder_norm(x).unflatten(0, cells),
            eighth.unflatten(0, cells),
            quarter.unflatten(0, cells),
        )

    def trunk(
        self,
        tokens: torch.Tensor,
        plan: GridPlan,
        tables: SmallTables,
        identifiers: Identifiers,
        state: StreamState | None = None,
    ) -> TrunkFeatures:
        """Both branches over encoder tokens [B, S, N, dim] of the present cells.

        With a state these are the new cells of a stream; see `step`.
        """
        x = tokens
        if self.rays is not None:
            x = x + self.rays(identifiers.intrinsics, tables.pixels)
        x = torch.cat([self.camera_token.to(x.dtype).expand_as(x[:, :, :1]), x], dim=2)
        x = x + self._identity(identifiers, tokens)[:, :, None]
        reading = Reading(plan, self._waves(identifiers, tokens))
        spatial, temporal = x, x
        everybody = tables.trunk.repeat(x.shape[1])
        for i, (frame_block, global_block) in enumerate(
            zip(self.frame_blocks, self.global_blocks)
        ):
            spatial = frame_block(spatial.flatten(0, 1), tables.trunk).view_as(x)
            spatial = global_block(spatial, everybody, _with(reading, state, f'global.{i}'))
        for i, block in enumerate(self.temporal_blocks):
            temporal = block(temporal, None, _with(reading, state, f'temporal.{i}'))
        fused = self.fusion({0: spatial[:, :, 1:]}, {0: temporal[:, :, 1:]})[0]
        return TrunkFeatures(fused, spatial[:, :, 0])

    def cameras(
        self,
        features: TrunkFeatures,
        plan: GridPlan,
        identifiers: Identifiers,
        state: StreamState | None = None,
    ) -> Cameras:
        """Relative poses and fields of view, from all cells (or the new ones of a stream)."""
        reading = Reading(plan, self._waves(identifiers, features.cameras))
        return self.camera_head(features.cameras, reading, state)

    def step(
        self,
        tokens: torch.Tensor,
        layout: CellLayout,
        tables: SmallTables,
        identifiers: Identifiers,
        state: StreamState,
    ) -> tuple[TrunkFeatures, Cameras]:
        """Read the next slices of a recording: tokens of their cells, everything else cached.

        Outputs are those of one banded pass over the whole recording, for these cells.
        """
        plan = self.plan(layout, state=state)
        features = self.trunk(tokens, plan, tables, identifiers, state)
        cameras = self.cameras(features, plan, identifiers, state)
        state.advance(plan.slices, self.config.window)
        return features, cameras

    def decode(
        self, features: TrunkFeatures, frames: FrameFeatures, cells: slice = slice(None)
    ) -> DecodedCells:
        """Depth and features of chosen cells only; `frames` holds these cells and no others."""
        return self.decoder(features.patches[:, cells], frames.eighth, frames.quarter)

    def _identity(self, identifiers: Identifiers, tokens: torch.Tensor) -> torch.Tensor:
        """[B, S, dim]: who took the frame."""
        unknown = self.config.cameras
        ids = identifiers.cameras
        if ids is None:
            ids = torch.full(tokens.shape[:2], unknown, device=tokens.device)
        embedded = self.camera_identity(torch.where(ids < 0, unknown, ids))
        return embedded.to(tokens.dtype)

    @staticmethod
    def _waves(identifiers: Identifiers, tokens: torch.Tensor) -> torch.Tensor:
        seconds = identifiers.seconds
        if seconds is None:
            seconds = torch.full(tokens.shape[:2], torch.nan, device=tokens.device)
        return time_waves(seconds)


def _with(reading: Reading, state: StreamState | None, layer: str) -> Reading:
    memory = None if state is None else state.memory(layer)
    return Reading(reading.plan, reading.waves, memory)

"""The networks of the VGGT family as one module with optional parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.cross_time import CrossTimeLocalFusion
from fourd_perception.model.cross_view import (
    CrossViewGlobalFusion,
    HiddenTokens,
    ObserveLayer,
    TrunkTables,
)
from fourd_perception.model.fusion import SpatiotemporalDenseFusion
from fourd_perception.model.grid_check import check_images
from fourd_perception.model.heads.camera import CameraHead
from fourd_perception.model.heads.dense import (
    DenseHead,
    DenseTables,
    points_and_confidence,
    positive_and_confidence,
)
from fourd_perception.model.heads.flow import FlowModule
from fourd_perception.model.heads.residual_motion import ResidualMotionHead
from fourd_perception.model.heads.track import TrackHead
from fourd_perception.model.presets import NetworkConfig
import torch
from torch import nn
import torch.nn.functional as F


@dataclass(frozen=True, eq=False)
class SizeTables:
    """Everything that depends on the image size alone, computed once per size."""

    height: int
    width: int
    trunk: TrunkTables
    heads: Mapping[str, DenseTables | None]


@dataclass(frozen=True, eq=False)
class Features:
    """What the heads read.

    tokens:  [B, S, P, C] that both branches start from
    spatial, temporal, fused: taps [B, S, P, 2 C]; temporal is None without cross-time fusion,
             and fused then is spatial
    """

    tokens: torch.Tensor
    spatial: dict[int, torch.Tensor]
    temporal: dict[int, torch.Tensor] | None
    fused: dict[int, torch.Tensor]


class Network(nn.Module):
    """Encoder, cross-view fusion, optional cross-time fusion, and the heads of a configuration."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        trunk = config.trunk
        dim, patch, taps = 2 * trunk.dim, trunk.patch, trunk.taps
        self.cross_view_global_fusion = CrossViewGlobalFusion(trunk)
        if config.temporal is not None:
            self.cross_time_local_fusion = CrossTimeLocalFusion(config)
            self.spatiotemporal_dense_fusion = SpatiotemporalDenseFusion(dim, taps)
        if config.camera is not None:
            self.spatial_head = CameraHead(dim, config.camera)
        self.dense_head = nn.ModuleDict()
        for name, head, out in (
            ('depth_head', config.depth, 2),
            ('point_head', config.points, 4),
            ('mask_head', config.mask, 1),
        ):
            if head is not None:
                self.dense_head[name] = DenseHead(dim, taps, patch, head, out)
        if config.motion is not None:
            if config.mask is not None:
                raise ValueError(
                    'the mask head that sees residual motion stands instead of another one; '
                    'configure `mask` or `motion`'
                )
            self.motion_head = ResidualMotionHead(dim, config.motion.width)
        if config.tracks is not None:
            self.track_head = TrackHead(dim, taps, patch, config.tracks)
        # Reads images alone, so any network can be given one that was trained elsewhere.
        self.flow_module = None if config.flow is None else FlowModule(config.flow)

    @property
    def trunk_parts(self) -> list[nn.Module]:
        """Encoder and trunk."""
        parts: list[nn.Module] = [self.cross_view_global_fusion]
        if self.config.temporal is not None:
            parts += [self.cross_time_local_fusion, self.spatiotemporal_dense_fusion]
        return parts

    def tables(self, height: int, width: int) -> SizeTables:
        """Tables for images of this size; ValueError when the patch does not divide it."""
        trunk = self.cross_view_global_fusion.tables(height, width)
        heads = {
            name: head.tables(height, width)
            for name, head in self.dense_head.items()
            if isinstance(head, DenseHead)
        }
        if self.config.tracks is not None:
            heads['track_head'] = self.track_head.feature_extractor.tables(height, width)
        return SizeTables(height, width, trunk, heads)

    def encode(self, images: torch.Tensor, tables: SizeTables) -> torch.Tensor:
        """Patch tokens [B, S, N, C] of images [B, S, 3, H, W]: per frame, fit for caching.

        Raises ValueError for images of another size, type or device than tables and weights.
        """
        weight = self.cross_view_global_fusion.camera_token
        check_images(images, (tables.height, tables.width), weight)
        return self.cross_view_global_fusion.encode(images, tables.trunk)

    def trunk(
        self,
        patches: torch.Tensor,
        layout: CellLayout,
        tables: SizeTables,
        hidden: HiddenTokens | None = None,
        observe: ObserveLayer | None = None,
    ) -> Features:
        """Taps of both branches from encoder features [B, S, N, C].

        hidden, observe: for the cross-view branch, see `CrossViewGlobalFusion`
        Raises ValueError for another number of cells than the layout has.
        """
        if patches.shape[1] != len(layout):
            raise ValueError(
                f'{patches.shape[1]} cells are given, the layout has {len(layout)}; lay out '
                'exactly the cells that are given'
            )
        tokens = self.cross_view_global_fusion.with_special(patches, layout.reference)
        # The camera head always reads the last block.
        last = self.config.trunk.depth - 1
        wanted = sorted({*self.config.trunk.taps, last})
        spatial = self.cross_view_global_fusion(
            tokens, layout, tables.trunk, wanted, hidden, observe
        )
        if self.config.temporal is None:
            return Features(tokens, spatial, None, spatial)
        temporal = self.cross_time_local_fusion(tokens, layout, tables.trunk)
        fused = self.spatiotemporal_dense_fusion(spatial, temporal)
        return Features(tokens, spatial, temporal, fused)

    def cameras(self, features: Features) -> list[torch.Tensor]:
        """Pose encodings [B, S, 9] of every refinement. Reads all cells, always."""
        last = features.spatial[self.config.trunk.depth - 1]
        return self.spatial_head(last[:, :, 0])

    def dense(
        self,
        head: str,
        features: Features,
        tables: SizeTables,
        cells: slice | list[int] | None = None,
    ) -> torch.Tensor:
        """Raw maps [B, n, out, H, W] of one dense head, of chosen cells only or of all."""
        taps = features.fused
        if cells is not None:
            taps = {i: taps[i][:, cells] for i in self.config.trunk.taps}
        special = self.cross_view_global_fusion.special
        return self.dense_head[head](
            taps, special, tables.height, tables.width, tables.heads[head]
        )

    def depth(
        self, features: Features, tables: SizeTables, cells: slice | list[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Depth > 0 and confidence >= 1, both [B, n, H, W]."""
        return positive_and_confidence(self.dense('depth_head', features, tables, cells))

    def points(
        self, features: Features, tables: SizeTables, cells: slice | list[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Points [B, n, H, W, 3] in the reference camera and confidence [B, n, H, W]."""
        return points_and_confidence(self.dense('point_head', features, tables, cells))

    def motion_features(
        self, features: Features, tables: SizeTables, cells: slice | list[int]
    ) -> torch.Tensor:
        """What the residual-motion head reads: the last tap, normed, [B, n, 2 C, h, w]."""
        patch = self.config.trunk.patch
        tap = features.fused[self.config.trunk.taps[-1]]
        tokens = tap[:, cells, self.cross_view_global_fusion.special :]
        tokens = F.layer_norm(tokens, tokens.shape[-1:])
        size = tables.height // patch, tables.width // patch
        return tokens.transpose(2, 3).unflatten(3, size)

    def track_features(self, features: Features, tables: SizeTables) -> torch.Tensor:
        """The feature maps [B, S, C, H/2, W/2] that points are tracked on."""
        taps = features.spatial if features.temporal is None else features.temporal
        return self.track_head.feature_extractor(
            taps,
            self.cross_view_global_fusion.special,
            tables.height,
            tables.width,
            tables.heads['track_head'],
        )

    def tracks(
        self, features: Features, tables: SizeTables, queries: torch.Tensor, reference: int
    ) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Tracks of pixels [B, Q, 2] of one cell through all cells; see `heads.track.Tracker`."""
        maps = self.track_features(features, tables)
        return self.track_head.tracker(maps, queries, reference)

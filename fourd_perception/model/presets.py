"""Configurations of the networks, and the named ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from fourd_perception.model.heads.flow import FlowConfig
from fourd_perception.model.layers.block import Block
from torch import nn


@dataclass(frozen=True)
class EncoderConfig:
    """The DINOv2 encoder (A.2); fields as in `DinoEncoder`."""

    dim: int = 1024
    depth: int = 24
    heads: int = 16
    image_size: int = 518
    mlp_ratio: float = 4.0
    registers: int = 4
    layer_scale: float = 1.0
    qkv_bias: bool = True
    proj_bias: bool = True
    ffn_bias: bool = True


@dataclass(frozen=True)
class TrunkConfig:
    """Alternating attention (A.5, A.6), for the cross-view and the cross-time branch alike.

    encoder:      DINOv2, or None for a plain patch convolution
    group:        number of blocks of one kind in a row (`aa_block_size`)
    taps:         blocks whose outputs the heads read
    spatial_mask: `none`, or `same_time`: global attention stays within one instant
    """

    dim: int = 1024
    depth: int = 24
    heads: int = 16
    patch: int = 14
    mlp_ratio: float = 4.0
    registers: int = 4
    encoder: EncoderConfig | None = field(default_factory=EncoderConfig)
    group: int = 1
    qkv_bias: bool = True
    proj_bias: bool = True
    ffn_bias: bool = True
    qk_norm: bool = True
    rope_base: float = 100.0
    layer_scale: float = 0.01
    taps: tuple[int, ...] = (4, 11, 17, 23)
    spatial_mask: str = 'none'

    def block(self, attention: nn.Module | None = None) -> Block:
        """One block of the trunk, with plain attention or another one in its place."""
        return Block(
            self.dim,
            self.heads,
            self.mlp_ratio,
            self.qk_norm,
            self.qkv_bias,
            self.proj_bias,
            self.ffn_bias,
            self.layer_scale,
            attention=attention,
        )


@dataclass(frozen=True)
class CameraHeadConfig:
    """The iterative camera head (A.7)."""

    depth: int = 4
    heads: int = 16
    mlp_ratio: float = 4.0
    layer_scale: float = 0.01
    iterations: int = 4


@dataclass(frozen=True)
class DenseHeadConfig:
    """A DPT head (A.8)."""

    features: int = 256
    channels: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    uv_embedding: bool = True


@dataclass(frozen=True)
class TrackHeadConfig:
    """The point tracker (A.9) and the DPT that feeds it."""

    dense: DenseHeadConfig = field(default_factory=lambda: DenseHeadConfig(features=128))
    stride: int = 2
    levels: int = 7
    radius: int = 4
    latent: int = 128
    hidden: int = 384
    depth: int = 6
    heads: int = 8
    virtual_tracks: int = 64
    max_scale: int = 518
    iterations: int = 4


@dataclass(frozen=True)
class MotionHeadConfig:
    """The mask head that sees residual motion (B.16), over the last tap.

    width: channels
    """

    width: int = 64


@dataclass(frozen=True)
class NetworkConfig:
    """A whole network: which parts it has, and their sizes.

    motion:   a mask head that sees residual motion, instead of `mask`; wants a flow module
    temporal: `window_attention`, `gru` or `conv`; None for a network without cross-time fusion
    window:   neighbouring instants that the temporal branch reads, odd
    """

    trunk: TrunkConfig = field(default_factory=TrunkConfig)
    camera: CameraHeadConfig | None = field(default_factory=CameraHeadConfig)
    depth: DenseHeadConfig | None = field(default_factory=DenseHeadConfig)
    points: DenseHeadConfig | None = field(default_factory=DenseHeadConfig)
    mask: DenseHeadConfig | None = None
    motion: MotionHeadConfig | None = None
    tracks: TrackHeadConfig | None = None
    flow: FlowConfig | None = None
    temporal: str | None = None
    window: int = 5


PRESETS = {
    'vggt-1b': NetworkConfig(
        tracks=TrackHeadConfig(dense=DenseHeadConfig(128, uv_embedding=False))
    ),
    '4d-vggt-v1': NetworkConfig(temporal='window_attention'),
    '4d-vggt': NetworkConfig(
        temporal='window_attention',
        mask=DenseHeadConfig(),
        tracks=TrackHeadConfig(),
        flow=FlowConfig(),
    ),
    # For tests and demonstrations: about a million parameters.
    'tiny': NetworkConfig(
        trunk=TrunkConfig(dim=48, depth=4, heads=2, encoder=None, taps=(0, 1, 2, 3)),
        camera=CameraHeadConfig(depth=1, heads=4, mlp_ratio=2.0),
        depth=DenseHeadConfig(16, (16, 32, 64, 64)),
        points=None,
        mask=DenseHeadConfig(16, (16, 32, 64, 64)),
        flow=FlowConfig(levels=(2, 1), radius=3, updates=2, width=16, pyramid=(16, 32, 48, 64)),
        temporal='window_attention',
    ),
}

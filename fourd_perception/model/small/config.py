"""Sizes of `fourd-small`."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.heads.flow import FlowConfig

PATCH = 16


@dataclass(frozen=True)
class SmallConfig:
    """A whole network of this family; the defaults are `fourd-small` without flow.

    dim, heads:    of all tokens
    stem:          channels of the convolution pyramid at 1/2, 1/4 and 1/8
    encoder_depth: frame-only blocks, whose features can be cached
    pairs:         frame and global blocks in turns
    temporal_depth, temporal_mlp_ratio: of the cross-time branch
    window:        neighbouring instants that the cross-time branch reads, odd
    camera_depth, camera_mlp_ratio: of the blocks of the camera head
    cameras:       known camera identities
    decoder:       channels of the decoder at 1/8 and 1/4
    mask:          channels of the residual-motion mask head
    flow:          the flow module; None: nothing is known of motion between frames
    rays:          read known intrinsics
    parallax:      join the decoder's depth with what flow and solved motion say of it
    residual_motion: show the mask head what the motion of the camera does not explain
    """

    dim: int = 320
    heads: int = 5
    stem: tuple[int, int, int] = (32, 64, 128)
    encoder_depth: int = 4
    pairs: int = 3
    mlp_ratio: float = 4.0
    layer_scale: float = 0.3
    rope_base: float = 100.0
    temporal_depth: int = 3
    temporal_mlp_ratio: float = 1.0
    window: int = 5
    camera_depth: int = 2
    camera_mlp_ratio: float = 2.0
    cameras: int = 16
    decoder: tuple[int, int] = (128, 64)
    mask: int = 64
    flow: FlowConfig | None = None
    rays: bool = True
    parallax: bool = True
    residual_motion: bool = True


SMALL_PRESETS = {'fourd-small': SmallConfig(flow=FlowConfig())}

"""Sizes of networks that tests can train."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.presets import (
    DenseHeadConfig,
    PRESETS,
    TrackHeadConfig,
    TrunkConfig,
)
from fourd_perception.model.small.config import SmallConfig

TINY_SMALL = SmallConfig(
    dim=32,
    heads=2,
    stem=(8, 12, 16),
    encoder_depth=1,
    pairs=1,
    temporal_depth=1,
    camera_depth=1,
    decoder=(16, 12),
    mask=8,
    flow=PRESETS['tiny'].flow,
)

TINY_DENSE = DenseHeadConfig(8, (8, 8, 8, 8))
# With every head that the published networks have.
TINY_BIG = replace(
    PRESETS['tiny'],
    trunk=TrunkConfig(dim=16, depth=4, heads=2, encoder=None, taps=(0, 1, 2, 3)),
    depth=TINY_DENSE,
    points=TINY_DENSE,
    mask=TINY_DENSE,
    tracks=TrackHeadConfig(
        TINY_DENSE, levels=2, radius=2, latent=8, hidden=16, depth=1, heads=2, virtual_tracks=4
    ),
)

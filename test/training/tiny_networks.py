"""Sizes of networks that tests can train."""

from __future__ import annotations

from fourd_perception.model.presets import PRESETS
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

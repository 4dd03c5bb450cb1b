"""Published state dictionaries and ours: one-to-one maps of key prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Ours -> VGGT's. The 4D-VGGT layout is ours.
VGGT_PREFIXES = {
    'cross_view_global_fusion.': 'aggregator.',
    'spatial_head.': 'camera_head.',
    'dense_head.depth_head.': 'depth_head.',
    'dense_head.point_head.': 'point_head.',
}


def to_vggt(key: str) -> str:
    """The published VGGT name of one of our keys."""
    for ours, theirs in VGGT_PREFIXES.items():
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def from_vggt(key: str) -> str:
    """Our name of a published VGGT key."""
    for ours, theirs in VGGT_PREFIXES.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key


def layout_of(keys: Iterable[str]) -> str:
    """`vggt`, `4d-vggt` or `fourd-small`, told by the keys; ValueError with a sample if none."""
    keys = list(keys)
    if any(key.startswith('aggregator.') for key in keys):
        return 'vggt'
    if any(key.startswith('cross_view_global_fusion.') for key in keys):
        return '4d-vggt'
    if any(key.startswith('stem.') for key in keys):
        return 'fourd-small'
    raise ValueError(
        f'the {len(keys)} tensors are of no known layout (first: {sorted(keys)[:3]}); VGGT keys '
        'start with "aggregator.", 4D-VGGT keys with "cross_view_global_fusion.", fourd-small '
        'has a "stem."'
    )


def initialise_from_vggt(state: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a 4D-VGGT that equals the VGGT whose tensors (our names) are given.

    The temporal branch copies the frame and the global blocks; what is not in VGGT (the gates,
    the fusion, the time biases) keeps its initial value, with which outputs are VGGT's.
    """
    new = dict(state)
    view, time = 'cross_view_global_fusion.', 'cross_time_local_fusion.'
    for key, value in state.items():
        if key.startswith(view + 'frame_blocks.'):
            new[time + key.removeprefix(view)] = value
        elif key.startswith(view + 'global_blocks.'):
            new[time + 'temporal_blocks.' + key.removeprefix(view + 'global_blocks.')] = value
    return new

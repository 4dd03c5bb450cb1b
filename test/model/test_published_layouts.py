"""The published checkpoints, tensor by tensor: names, shapes, and how many numbers there are."""

from __future__ import annotations

from math import prod

from fourd_perception.model.checkpoint_config import published_preset
from fourd_perception.model.checkpoint_layouts import from_vggt, layout_of, to_vggt
from fourd_perception.model.checkpoints import expected_shapes
from fourd_perception.model.presets import PRESETS
import published_keys
import pytest

# Parts by prefix: (numbers, tensors).
VGGT_PARTS = {
    'aggregator.camera_token': (2_048, 1),
    'aggregator.register_token': (8_192, 1),
    'aggregator.patch_embed.': (304_372_736, 344),
    'aggregator.frame_blocks.': (302_364_672, 432),
    'aggregator.global_blocks.': (302_364_672, 432),
    'camera_head.': (216_174_610, 69),
    'point_head.': (32_654_628, 62),
    'depth_head.': (32_654_562, 62),
    'track_head.': (65_941_396, 394),
}
FOURD_PARTS = {
    'cross_view_global_fusion.': (909_112_320, 1_210),
    'cross_time_local_fusion.': (604_731_264, 888),
    'spatiotemporal_dense_fusion.': (8_398_852, 5),
    'spatial_head.': (216_174_610, 69),
    'dense_head.': (65_309_190, 124),
}


def shapes_of(preset: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a preset's tensors, ours."""
    return {name: tuple(shape) for name, shape in expected_shapes(PRESETS[preset]).items()}


def published_vggt() -> dict[str, tuple[int, ...]]:
    return {to_vggt(name): shape for name, shape in shapes_of('vggt-1b').items()}


def test_vggt_1b_has_exactly_the_published_tensors():
    assert published_vggt() == published_keys.vggt()


def test_4d_vggt_v1_has_exactly_the_published_tensors():
    assert shapes_of('4d-vggt-v1') == published_keys.fourd_vggt()


@pytest.mark.parametrize(
    ('shapes', 'parts', 'numbers', 'tensors'),
    [
        (published_vggt, VGGT_PARTS, 1_256_537_516, 1_797),
        (lambda: shapes_of('4d-vggt-v1'), FOURD_PARTS, 1_803_726_236, 2_296),
    ],
    ids=['vggt-1b', '4d-vggt-v1'],
)
def test_the_published_numbers_of_parameters(shapes, parts, numbers, tensors):
    found = shapes()
    for prefix, expected in parts.items():
        own = [shape for name, shape in found.items() if name.startswith(prefix)]
        assert (sum(map(prod, own)), len(own)) == expected, prefix
    assert (sum(map(prod, found.values())), len(found)) == (numbers, tensors)
    assert sum(n for n, _ in parts.values()) == numbers


def test_names_are_mapped_one_to_one():
    ours = shapes_of('vggt-1b')
    assert {from_vggt(to_vggt(name)) for name in ours} == set(ours)
    assert all(to_vggt(name) == name for name in ours if name.startswith('track_head.'))


def test_layouts_and_heads_are_told_by_the_keys():
    vggt, fourd = published_keys.vggt(), published_keys.fourd_vggt()
    assert (layout_of(vggt), layout_of(fourd)) == ('vggt', '4d-vggt')
    assert published_preset(vggt, tracker_fixed=False) == PRESETS['vggt-1b']
    assert published_preset(fourd, tracker_fixed=False) == PRESETS['4d-vggt-v1']
    assert published_preset(shapes_of('4d-vggt'), tracker_fixed=True) == PRESETS['4d-vggt']
    without = [name for name in vggt if not name.startswith(('track_head.', 'point_head.'))]
    config = published_preset(without, tracker_fixed=False)
    assert config.tracks is None and config.points is None and config.depth is not None
    with pytest.raises(ValueError, match='of no known layout .*backbone.weight'):
        layout_of(['backbone.weight'])


def test_the_corrected_tracker_differs_in_the_positions_of_its_features_alone():
    first = published_preset(published_keys.vggt(), tracker_fixed=False)
    fixed = published_preset(published_keys.vggt(), tracker_fixed=True)
    assert not first.tracks.dense.uv_embedding
    assert fixed.tracks.dense.uv_embedding
    assert expected_shapes(first) == expected_shapes(fixed)

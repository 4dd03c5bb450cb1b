"""Networks without a mask head get their masks from motion cues, window after window."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.engine.predictors import load_predictor
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.heads.flow import FlowConfig
from fourd_perception.model.network_predictor import NetworkPredictor
from fourd_perception.model.prediction import GridTensors
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.untrained import untrained_network
from fourd_perception.motion.cue_predictor import mask_source, network_predictor
import numpy as np
import pytest
import torch

OPTIONS = {'name': 'net', 'licence': 'none'}
HEADLESS = replace(PRESETS['tiny'], mask=None)
HEIGHT, WIDTH = 56, 70


def grid(first: int, times: int, views: int = 2, dense: int | None = None) -> GridTensors:
    """A window of a stream of noise, always the same frame under the same stamp."""
    frames = [
        [torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(100 * v + t))]
        for v in range(views)
        for t in range(first, first + times)
    ]
    images = torch.stack([frame[0] for frame in frames]).view(views, times, 3, HEIGHT, WIDTH)
    present = np.ones((views, times), bool)
    stamps = np.tile(np.arange(first, first + times) * 100 + 5, (views, 1))
    if times > 2:
        present[-1, 1], stamps[-1, 1], images[-1, 1] = False, -1, 0
    return GridTensors(
        images=images,
        present=present,
        valid=torch.ones(views, HEIGHT, WIDTH, dtype=torch.bool),
        intrinsics=np.full((views, 3, 3), np.nan),
        pixel_maps=(PixelMap(),) * views,
        cameras=tuple(f'cam{v}' for v in range(views)),
        stamps=stamps,
        reference=(0, 0),
        dense_columns=dense,
    )


@pytest.mark.parametrize('flow', [None, FlowConfig()])
def test_masks_come_from_the_second_instant_on_for_all_cells(flow):
    predictor = network_predictor(untrained_network(replace(HEADLESS, flow=flow), 0), **OPTIONS)
    assert predictor.info.has_mask
    assert predictor.info.mask_source == 'motion cues'
    first = predictor.predict(grid(0, 1)).mask_logits
    assert first.isnan().all()
    for start in range(3):
        window = grid(start, 4, dense=2)
        logits = predictor.predict(window).mask_logits
        assert logits.shape == (2, 4, HEIGHT, WIDTH)
        assert logits[torch.from_numpy(window.present)].isfinite().all()
        assert logits[torch.from_numpy(~window.present)].isnan().all()


def test_the_geometry_is_the_networks_own_while_nothing_is_confirmed():
    network = untrained_network(HEADLESS, 0)
    plain, watched = NetworkPredictor(network, **OPTIONS), network_predictor(network, **OPTIONS)
    a, b = plain.predict(grid(0, 4)), watched.predict(grid(0, 4))
    assert torch.equal(a.depth.nan_to_num(), b.depth.nan_to_num())
    np.testing.assert_array_equal(a.world_from_camera, b.world_from_camera)


def test_confirmed_tokens_are_hidden_in_the_next_pass():
    network = untrained_network(HEADLESS, 0)
    plain, watched = NetworkPredictor(network, **OPTIONS), network_predictor(network, **OPTIONS)
    watched.predict(grid(0, 4))
    cells = watched._watch.masks._state.cells
    for key, cell in cells.items():
        corner = torch.zeros_like(cell.confirmed)
        corner[:2, :2] = True
        cells[key] = replace(cell, confirmed=corner)
    changed = watched.predict(grid(1, 4))
    wanted = plain.predict(grid(1, 4))
    assert (changed.depth - wanted.depth).abs().nan_to_num().max() > 1e-4


def test_bf16_runs_too():
    predictor = network_predictor(untrained_network(HEADLESS, 0), precision='bf16', **OPTIONS)
    for start in range(2):
        assert predictor.predict(grid(start, 4)).mask_logits[0].isfinite().all()


def test_both_is_dynamic_where_either_is():
    network = untrained_network(PRESETS['tiny'], 0)
    head, both = (network_predictor(network, masks, **OPTIONS) for masks in ('head', 'both'))
    cues = network_predictor(network, 'motion_cues', **OPTIONS)
    for window in (grid(0, 4), grid(1, 4)):
        masks = [p.predict(window).mask_logits > 0 for p in (head, cues, both)]
    assert torch.equal(masks[0] | masks[1], masks[2])
    assert both.info.mask_source == 'mask head and motion cues'


def test_the_source_is_what_the_weights_can_give():
    assert mask_source('auto', PRESETS['tiny']) == 'head'
    assert mask_source('auto', PRESETS['vggt-1b']) == 'motion_cues'
    assert mask_source('auto', PRESETS['4d-vggt']) == 'head'
    assert mask_source('both', PRESETS['4d-vggt']) == 'both'
    with pytest.raises(ValueError, match='no mask head; set masks to motion_cues'):
        mask_source('head', PRESETS['vggt-1b'])
    with pytest.raises(ValueError, match='not one of auto, head'):
        mask_source('cues', PRESETS['vggt-1b'])
    within = replace(HEADLESS, trunk=replace(HEADLESS.trunk, spatial_mask='same_time'))
    assert mask_source('auto', within) == ''
    with pytest.raises(ValueError, match='within one instant'):
        mask_source('motion_cues', within)


def test_weights_by_name_take_the_choice():
    assert load_predictor('untrained:0').info.mask_source == 'mask head'
    assert load_predictor('untrained:0', masks='motion_cues').info.mask_source == 'motion cues'

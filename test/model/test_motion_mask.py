"""The residual-motion head on the trunk of a VGGT: its masks through the predictor."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.geometry.poses import invert
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.config_json import config_from_json, config_to_json
from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.heads.residual_motion import OtherFrame
from fourd_perception.model.network import Network
from fourd_perception.model.network_predictor import NetworkPredictor
from fourd_perception.model.prediction import GridTensors
from fourd_perception.model.presets import MotionHeadConfig, PRESETS
from fourd_perception.model.untrained import untrained_network
from fourd_perception.motion.cue_predictor import mask_source
import numpy as np
import pytest
import torch

CONFIG = replace(PRESETS['tiny'], mask=None, motion=MotionHeadConfig(8))


def window(times: int) -> GridTensors:
    images = torch.rand(1, times, 3, 28, 42, generator=torch.Generator().manual_seed(0))
    return GridTensors(
        images=images,
        present=np.ones((1, times), bool),
        valid=torch.ones(1, 28, 42, dtype=torch.bool),
        intrinsics=np.full((1, 3, 3), np.nan),
        pixel_maps=(PixelMap(),),
        cameras=('camera',),
        stamps=np.arange(times)[None] * 10**8,
        reference=(0, 0),
    )


def predictor(network: Network) -> NetworkPredictor:
    return NetworkPredictor(network, 'test', '', precision='fp32')


def test_the_mask_is_the_head_s_answer_to_what_the_network_itself_says():
    network, grid = untrained_network(CONFIG, 0), window(2)
    said = predictor(network).predict(grid)
    assert network.flow_module is not None and said.mask_logits is not None
    tables, layout = network.tables(28, 42), CellLayout.sequence(2)
    with torch.no_grad():
        features = network.trunk(network.encode(grid.images, tables), layout, tables)
        there, back = network.flow_module(grid.images[0, :1], grid.images[0, 1:])
        seen = network.motion_features(features, tables, slice(None))[0]
        pose = torch.from_numpy(invert(said.world_from_camera[0, 1])).float()
        k = torch.from_numpy(said.intrinsics[0]).float()
        depth = said.depth[0]
        later = OtherFrame(
            there.flow, there.log_scale, occluded(there.flow, back.flow), depth[1:], k[1:],
            pose[None],
        )  # fmt: skip
        expected = network.motion_head(seen[:1], depth[:1], k[:1], [later, None])
    assert torch.allclose(said.mask_logits[0, 0], expected[0], atol=1e-4)


def test_newest_columns_alone_give_the_masks_of_the_whole_window():
    network, grid = untrained_network(CONFIG, 0), window(3)
    whole = predictor(network).predict(grid).mask_logits
    newest = predictor(network).predict(replace(grid, dense_columns=1))
    assert whole is not None and newest.mask_logits is not None
    assert torch.allclose(newest.mask_logits[0, 2], whole[0, 2], atol=1e-5)
    assert newest.mask_logits[0, :2].isnan().all() and newest.depth[0, :2].isnan().all()
    assert newest.depth[0, 2].isfinite().all()


def test_one_instant_has_no_mask():
    mask = predictor(untrained_network(CONFIG, 0)).predict(window(1)).mask_logits
    assert mask is not None and mask.isnan().all()


def test_it_is_a_mask_head_to_everybody_else():
    info = predictor(untrained_network(CONFIG, 0)).info
    assert info.has_mask and info.mask_source == 'mask head'
    assert mask_source('auto', CONFIG) == 'head'
    assert config_from_json(config_to_json(CONFIG)) == CONFIG


def test_without_flow_or_beside_another_mask_head_it_is_refused():
    with pytest.raises(ValueError, match='no flow module'):
        predictor(untrained_network(replace(CONFIG, flow=None), 0))
    with pytest.raises(ValueError, match='`mask` or `motion`'):
        Network(replace(CONFIG, mask=PRESETS['tiny'].depth))

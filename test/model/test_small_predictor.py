"""fourd-small behind the same interface: every convention of `Prediction`, and what it is told."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.evaluation.clip_grids import clip_grid
from fourd_perception.geometry.poses import invert
from fourd_perception.model.heads.flow import FlowConfig, FlowModule, occluded
from fourd_perception.model.heads.residual_motion import OtherFrame
from fourd_perception.model.prediction import GridTensors
from fourd_perception.model.small.predictor import SmallPredictor
from fourd_perception.synthetic.scenes import generate, SceneSpec
import numpy as np
import pytest
from small_grids import HEIGHT, network, WIDTH
from test_network_predictor import ALL_CELLS, fields, make_grid, part, SECOND, WITH_HOLES
import torch

FLOW = FlowConfig(levels=(1, 1), radius=2, updates=1, width=8, pyramid=(8, 8, 8, 8))
MAPS = ('depth', 'depth_confidence', 'mask_logits')


def grid_of(present, reference=(0, 0), **options) -> GridTensors:
    """A window whose first camera is calibrated."""
    grid = make_grid(present, reference, HEIGHT, WIDTH, **options)
    grid.intrinsics[0] = [[30, 0, 20], [0, 31, 17], [0, 0, 1]]
    return grid


def new(flow: FlowConfig | None = FLOW, **options) -> SmallPredictor:
    return SmallPredictor(network(flow=flow), 'test', 'none', **options)


@pytest.fixture(scope='module')
def predictor() -> SmallPredictor:
    return new()


def assert_equal(found, expected, names=None, atol=2e-5):
    """All fields agree, NaN where NaN."""
    for name in names or expected:
        np.testing.assert_allclose(
            found[name], expected[name], atol=atol, rtol=1e-4, equal_nan=True, err_msg=name
        )


def test_info_says_what_the_weights_give(predictor):
    info = predictor.info
    assert (info.patch, info.has_mask, info.has_flow) == (16, True, True)
    assert not new(flow=None).info.has_flow


def test_present_cells_are_finite_and_missing_ones_nan(predictor):
    present = np.array(WITH_HOLES, bool)
    given = fields(predictor.predict(grid_of(WITH_HOLES)))
    for name in (*MAPS, 'world_from_camera', 'intrinsics'):
        assert np.isfinite(given[name][present]).all(), name
        assert np.isnan(given[name][~present]).all(), name
    for name in MAPS:
        assert given[name].shape == (3, 3, HEIGHT, WIDTH) and given[name].dtype == np.float32
    assert (given['depth'][present] > 0).all()
    assert (given['depth_confidence'][present] >= 1).all()


def test_flow_is_known_exactly_where_the_neighbour_in_time_is_present(predictor):
    present = np.array(WITH_HOLES, bool)
    given = fields(predictor.predict(grid_of(WITH_HOLES)))
    after, before = np.zeros((2, 3, 3), bool)
    after[:, :-1] = before[:, 1:] = present[:, 1:] & present[:, :-1]
    assert np.array_equal(np.isfinite(given['flow_forward']).all((2, 3, 4)), after)
    assert np.array_equal(np.isfinite(given['flow_backward']).all((2, 3, 4)), before)


@pytest.mark.parametrize('reference', [(0, 0), (1, 1), (2, 2)])
def test_the_world_is_the_camera_of_the_reference_cell(predictor, reference):
    poses = predictor.predict(grid_of(WITH_HOLES, reference)).world_from_camera
    assert np.array_equal(poses[reference], np.eye(4))
    known = poses[np.array(WITH_HOLES, bool)]
    rotation = known[:, :3, :3]
    assert np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max() < 1e-12
    other = predictor.predict(grid_of(WITH_HOLES)).world_from_camera
    moved = invert(other[reference]) @ other
    np.testing.assert_allclose(poses, moved, atol=1e-6)


def test_known_intrinsics_come_back_and_others_are_the_networks_own(predictor):
    grid = grid_of(ALL_CELLS)
    found = predictor.predict(grid).intrinsics
    np.testing.assert_allclose(found[0], np.broadcast_to(grid.intrinsics[0], (3, 3, 3)))
    assert (found[1:, :, 0, 0] > 0).all() and (found[1:, :, 0, 2] == (WIDTH - 1) / 2).all()


def test_calibration_and_the_time_between_frames_matter_but_not_when_it_all_began(predictor):
    grid = grid_of(ALL_CELLS)
    base = fields(predictor.predict(grid))
    blind = replace(grid, intrinsics=np.full((3, 3, 3), np.nan))
    slow = replace(grid, stamps=grid.stamps + np.arange(3) * SECOND // 3)
    for changed in (blind, slow):
        assert np.abs(predictor.predict(changed).depth.numpy() - base['depth']).max() > 1e-4
    later = replace(grid, stamps=grid.stamps + 86_400 * SECOND)
    assert_equal(fields(predictor.predict(later)), base)


@pytest.mark.parametrize('columns', [1, 2])
def test_newest_columns_alone_are_those_of_the_whole(predictor, columns):
    grid = grid_of(WITH_HOLES)
    whole = fields(predictor.predict(grid))
    newest = fields(predictor.predict(replace(grid, dense_columns=columns)))
    for name in MAPS:
        assert np.isnan(newest[name][:, :-columns]).all()
        newest[name][:, :-columns] = whole[name][:, :-columns]
    assert_equal(newest, whole)


def test_masks_are_those_of_a_plain_loop_over_cells(predictor):
    """Each cell alone, told of the frames before and after it, all of them decoded."""
    given = predictor.predict(grid_of(WITH_HOLES))
    model = network(flow=FLOW)
    features = _dense_features(predictor, model)

    def other(view, time, flow, neighbour):
        if not (0 <= neighbour < 3 and WITH_HOLES[view][neighbour]):
            return None
        images = grid_of(WITH_HOLES).images[view]
        there, back = model.flow_module(images[time, None], images[neighbour, None])
        np.testing.assert_allclose(flow[view, time][None], there.flow, atol=1e-4)
        motion = invert(given.world_from_camera[view, neighbour])
        return OtherFrame(
            there.flow,
            there.log_scale,
            occluded(there.flow, back.flow),
            given.depth[view, neighbour][None],
            torch.from_numpy(given.intrinsics[view, neighbour])[None],
            torch.from_numpy(motion @ given.world_from_camera[view, time])[None],
        )

    with torch.no_grad():
        for i, (time, view) in enumerate(np.argwhere(np.array(WITH_HOLES).T)):
            others = [
                other(view, time, given.flow_forward, time + 1),
                other(view, time, given.flow_backward, time - 1),
            ]
            expected = model.mask_head(
                features[i, None],
                given.depth[view, time][None],
                torch.from_numpy(given.intrinsics[view, time])[None],
                others,
            )
            np.testing.assert_allclose(given.mask_logits[view, time], expected[0], atol=1e-3)


def test_without_parallax_depth_is_the_decoder_s_and_without_residuals_masks_see_no_motion():
    """A clip of a camera that moves, and a flow module as it is drawn, which sees that."""
    grid = clip_grid(generate([43], SceneSpec((96, 128), 1, 3, 'hand_held')))
    torch.manual_seed(0)
    flow = FlowModule(FlowConfig()).eval()

    def said(seeing: bool = True, **changes) -> dict[str, np.ndarray]:
        net = network(flow=None, **changes)
        net.flow_module = flow if seeing else None
        return fields(SmallPredictor(net, 'test', 'none').predict(grid))

    whole, still = said(), said(seeing=False)
    flat, blind = said(parallax=False), said(residual_motion=False)
    for less, same in ((flat, 'depth'), (blind, 'mask_logits')):
        np.testing.assert_allclose(less[same], still[same], rtol=1e-4, atol=1e-5)
        assert np.abs(whole[same] - still[same]).max() > 0.01
        np.testing.assert_array_equal(less['flow_forward'], whole['flow_forward'])


def test_without_rays_calibration_says_nothing_to_the_trunk():
    less = SmallPredictor(network(flow=FLOW, rays=False), 'test', 'none')
    grid = grid_of(ALL_CELLS)
    blind = replace(grid, intrinsics=np.full((3, 3, 3), np.nan))
    for name, one in (('rays', less), ('none', new())):
        told, untold = (fields(one.predict(g))['world_from_camera'] for g in (grid, blind))
        assert np.allclose(told, untold, atol=1e-5) == (name == 'rays')


def _dense_features(predictor, model):
    """What the mask head reads of every cell, caught on its way."""
    caught = []
    forward = predictor._network.decoder.forward

    def catching(*args):
        caught.append(forward(*args))
        return caught[-1]

    predictor._network.decoder.forward = catching
    predictor.predict(grid_of(WITH_HOLES))
    del predictor._network.decoder.forward
    return caught[0].features[0]


@pytest.mark.parametrize('present', [[[1], [1]], [[1, 0], [1, 0]]])
def test_one_instant_has_no_mask(predictor, present):
    assert predictor.predict(grid_of(present)).mask_logits.isnan().all()


def test_without_a_flow_module_masks_come_from_the_picture_alone():
    prediction = new(flow=None).predict(grid_of(ALL_CELLS))
    assert prediction.flow_forward is None and prediction.flow_backward is None
    assert prediction.mask_logits.isfinite().all()


def test_a_camera_that_is_silent_throughout_changes_nothing(predictor):
    silent = grid_of([[1, 1], [1, 0], [0, 0]])
    whole = fields(predictor.predict(silent))
    smaller = fields(predictor.predict(part(silent, [0, 1], [0, 1])))
    assert_equal({name: values[:2] for name, values in whole.items()}, smaller)
    assert np.isnan(whole['depth'][2]).all()
    first = fields(predictor.predict(grid_of([[0, 0], [1, 1]], (1, 0))))
    assert np.isfinite(first['depth'][1]).all() and np.isnan(first['depth'][0]).all()


def test_a_sliding_window_answers_as_a_first_one_does_and_encodes_only_what_is_new():
    sliding, counts = new(), []
    encode = sliding._network.encode
    sliding._network.encode = lambda images, tables: (
        counts.append(images.shape[1]) or encode(images, tables)
    )
    sliding.predict(grid_of(ALL_CELLS))
    found = fields(sliding.predict(grid_of(ALL_CELLS, first=1)))
    assert counts == [9, 3]
    assert_equal(found, fields(new().predict(grid_of(ALL_CELLS, first=1))))


def test_bf16_stays_close():
    exact = new().predict(grid_of(ALL_CELLS))
    short = new(precision='bf16').predict(grid_of(ALL_CELLS))
    assert short.depth.dtype == torch.float32
    difference = (short.depth.log() - exact.depth.log()).norm() / exact.depth.log().norm()
    assert 0 < difference < 0.05


def test_sizes_that_the_patch_does_not_divide_are_refused(predictor):
    with pytest.raises(ValueError, match='96x40 pixels, .* multiples of the patch 16'):
        predictor.predict(make_grid(ALL_CELLS, height=40, width=96))


def test_cameras_are_told_apart_by_their_rows(predictor):
    first = make_grid([[1, 1], [0, 0]], (0, 0), HEIGHT, WIDTH)
    second = make_grid([[0, 0], [1, 1]], (1, 0), HEIGHT, WIDTH)
    second = replace(second, images=first.images.flip(0))
    depths = [predictor.predict(grid).depth[row] for row, grid in enumerate((first, second))]
    assert (depths[0] - depths[1]).abs().max() > 1e-4

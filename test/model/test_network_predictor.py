"""The predictor keeps every convention of `Prediction`, whatever cells are missing or known."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.heads.flow import FlowConfig
from fourd_perception.model.network_predictor import NetworkPredictor
from fourd_perception.model.prediction import GridTensors, Prediction
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.untrained import untrained_network
import numpy as np
import pytest
import torch

TINY = PRESETS['tiny']
WITH_FLOW = replace(TINY, flow=FlowConfig(levels=(1, 1), radius=2, updates=1, width=8))
ALL_CELLS = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
WITH_HOLES = [[1, 0, 1], [1, 1, 1], [0, 1, 1]]
SECOND = 1_000_000_000
START = 1_700_000_000_123_456_789


def make_grid(present, reference=(0, 0), height=28, width=42, first=0) -> GridTensors:
    """A window whose column t shows instant first + t: equal instants show equal images."""
    present = np.array(present, bool)
    views, times = present.shape
    stamps = START + SECOND * (first + np.arange(times)) + np.zeros((views, 1), np.int64)
    images = torch.zeros(views, times, 3, height, width)
    for v, t in np.argwhere(present):
        generator = torch.Generator().manual_seed(100 * (first + int(t)) + int(v))
        images[v, t] = torch.rand(3, height, width, generator=generator)
    return GridTensors(
        images=images,
        present=present,
        valid=torch.ones(views, height, width, dtype=torch.bool),
        intrinsics=np.full((views, 3, 3), np.nan),
        pixel_maps=(PixelMap(),) * views,
        cameras=tuple(f'camera_{v}' for v in range(views)),
        stamps=np.where(present, stamps, -1),
        reference=reference,
    )


def part(grid: GridTensors, views, times, reference=None) -> GridTensors:
    """Take some rows and columns of a grid."""
    return replace(
        grid,
        images=grid.images[views][:, times],
        present=grid.present[views][:, times],
        stamps=grid.stamps[views][:, times],
        reference=reference or grid.reference,
    )


def fields(prediction: Prediction) -> dict[str, np.ndarray]:
    """List the given fields as arrays [V, T, ...]."""
    return {k: np.asarray(v) for k, v in vars(prediction).items() if v is not None}


def new(config=TINY, seed=0, **options) -> NetworkPredictor:
    return NetworkPredictor(untrained_network(config, seed), 'test', 'none', **options)


@pytest.fixture(scope='module')
def predictor() -> NetworkPredictor:
    return new(WITH_FLOW)


def test_tiny_has_about_a_million_parameters():
    info = new().info
    assert 0.7e6 < info.parameters < 1.5e6
    assert info.patch == 14


def test_info_says_what_the_weights_give():
    assert new().info.has_mask and new().info.has_flow
    bare = new(replace(TINY, mask=None, flow=None))
    assert not bare.info.has_mask and not bare.info.has_flow
    prediction = bare.predict(make_grid(ALL_CELLS))
    assert prediction.mask_logits is None and prediction.flow_forward is None


def test_a_network_without_depth_cannot_serve():
    with pytest.raises(ValueError, match='test: without cameras or depth'):
        new(replace(TINY, depth=None))


@pytest.mark.parametrize('size', [(14, 14), (126, 168), (42, 28)])
def test_every_field_has_the_shape_and_type_of_the_contract(predictor, size):
    prediction = predictor.predict(make_grid(WITH_HOLES, height=size[0], width=size[1]))
    images = (3, 3, *size)
    assert prediction.depth.shape == images
    assert prediction.depth_confidence.shape == images
    assert prediction.mask_logits.shape == images
    assert prediction.flow_forward.shape == (3, 3, 2, *size)
    assert prediction.flow_backward.shape == (3, 3, 2, *size)
    for name in ('depth', 'depth_confidence', 'mask_logits', 'flow_forward', 'flow_backward'):
        assert getattr(prediction, name).dtype == torch.float32, name
    for name, shape in (('world_from_camera', (4, 4)), ('intrinsics', (3, 3))):
        assert getattr(prediction, name).shape == (3, 3, *shape)
        assert getattr(prediction, name).dtype == np.float64


def test_present_cells_are_finite_and_missing_ones_nan(predictor):
    present = np.array(WITH_HOLES, bool)
    given = fields(predictor.predict(make_grid(WITH_HOLES)))
    for name in ('depth', 'depth_confidence', 'world_from_camera', 'intrinsics', 'mask_logits'):
        assert np.isfinite(given[name][present]).all(), name
        assert np.isnan(given[name][~present]).all(), name
    assert (given['depth'][present] > 0).all()
    assert (given['depth_confidence'][present] >= 1).all()


def test_maps_of_old_columns_can_be_left_out_and_cameras_stay(predictor):
    grid = make_grid(WITH_HOLES)
    whole = fields(predictor.predict(grid))
    newest = fields(predictor.predict(replace(grid, dense_columns=1)))
    for name in ('depth', 'depth_confidence', 'mask_logits'):
        assert np.isnan(newest[name][:, :2]).all()
        np.testing.assert_allclose(newest[name][:, 2], whole[name][:, 2], rtol=1e-6, atol=1e-6)
    for name in ('world_from_camera', 'intrinsics', 'flow_forward', 'flow_backward'):
        np.testing.assert_array_equal(newest[name], whole[name])


def test_flow_is_known_exactly_where_the_neighbour_in_time_is_present(predictor):
    present = np.array(WITH_HOLES, bool)
    given = fields(predictor.predict(make_grid(WITH_HOLES)))
    for view in range(3):
        for time in range(3):
            for name, other in (('flow_forward', time + 1), ('flow_backward', time - 1)):
                known = present[view, time] and 0 <= other < 3 and present[view, other]
                flow = given[name][view, time]
                assert np.isfinite(flow).all() if known else np.isnan(flow).all()


def test_flow_goes_the_way_the_picture_goes(predictor):
    """The flow module follows its fixed descriptor before any training."""
    wide = torch.rand(3, 56, 96, generator=torch.Generator().manual_seed(3))
    wide = torch.nn.functional.avg_pool2d(wide, 5, 1, 2)
    images = torch.stack([wide[None, :, :, 4:88], wide[None, :, :, :84]], dim=1)
    grid = replace(make_grid([[1, 1]], height=56, width=84), images=images)
    prediction = predictor.predict(grid)
    middle = (slice(16, 40), slice(20, 64))
    assert abs(prediction.flow_forward[0, 0, 0][middle].median() - 4) < 1
    assert abs(prediction.flow_backward[0, 1, 0][middle].median() + 4) < 1


@pytest.mark.parametrize('present', [[[1], [1]], [[1, 0], [1, 0]]])
def test_one_instant_has_no_mask(predictor, present):
    mask = predictor.predict(make_grid(present)).mask_logits
    assert mask.shape == (2, len(present[0]), 28, 42) and mask.isnan().all()


@pytest.mark.parametrize('reference', [(0, 0), (1, 1), (2, 2)])
def test_the_world_is_the_camera_of_the_reference_cell(predictor, reference):
    poses = predictor.predict(make_grid(WITH_HOLES, reference)).world_from_camera
    assert np.array_equal(poses[reference], np.eye(4))
    known = poses[np.array(WITH_HOLES, bool)]
    rotation = known[:, :3, :3]
    assert np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max() < 1e-12
    assert np.abs(np.linalg.det(rotation) - 1.0).max() < 1e-12
    assert np.array_equal(known[:, 3], np.tile([0.0, 0.0, 0.0, 1.0], (len(known), 1)))


def test_poses_are_camera_from_world_encodings_turned_round():
    network = untrained_network(TINY, 0)
    encodings = torch.zeros(1, 2, 9)
    encodings[0, :, 6:] = torch.tensor([1.0, 0.5, 0.7])
    encodings[0, 1, :3] = torch.tensor([1.0, 2.0, 3.0])
    encodings[0, 1, 3:7] = torch.tensor([0.0, 0.0, 1.0, 1.0])  # a quarter turn about z, norm 2**.5
    network.spatial_head.forward = lambda tokens: [encodings]
    prediction = NetworkPredictor(network, 'test', 'none').predict(make_grid([[1, 1]]))
    # p_camera = R p_world + t, so the camera stands at -R^T t.
    expected = [[0, 1, 0, -2], [-1, 0, 0, 1], [0, 0, 1, -3], [0, 0, 0, 1]]
    np.testing.assert_allclose(prediction.world_from_camera[0, 1], expected, atol=1e-7)
    # Half of 42 pixels subtends half of 0.7 radians, and the middle of 0..41 is 20.5.
    focal = 21 / np.tan(0.35), 14 / np.tan(0.25)
    matrix = [[focal[0], 0, 20.5], [0, focal[1], 13.5], [0, 0, 1]]
    np.testing.assert_allclose(prediction.intrinsics[0, 1], matrix, rtol=1e-6)


def test_a_field_of_view_that_no_camera_has_still_gives_one():
    network = untrained_network(TINY, 0)
    network.spatial_head.forward = lambda tokens: [
        torch.tensor([[[0, 0, 0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 4, 4]]]).float()
    ]
    intrinsics = NetworkPredictor(network, 'test', 'none').predict(make_grid([[1, 1]])).intrinsics
    assert np.isfinite(intrinsics).all() and (intrinsics[..., 0, 0] > 0).all()


def test_what_lies_in_a_missing_cell_changes_nothing(predictor):
    grid = make_grid(WITH_HOLES)
    images = grid.images.clone()
    images[0, 1] = np.nan
    images[2, 0] = 7.0
    before = fields(predictor.predict(grid))
    for name, after in fields(predictor.predict(replace(grid, images=images))).items():
        assert np.array_equal(after, before[name], equal_nan=True), name


@pytest.mark.parametrize(
    'present, views, times, reference',
    [
        ([[1, 1], [1, 1], [0, 0]], [0, 1], [0, 1], (0, 0)),
        ([[0, 0], [1, 1], [1, 1]], [1, 2], [0, 1], (1, 0)),
        ([[1, 1, 0], [1, 1, 0]], [0, 1], [0, 1], (0, 0)),
        ([[0, 1, 1], [0, 1, 1]], [0, 1], [1, 2], (1, 1)),
    ],
)
def test_a_grid_with_an_empty_row_or_column_is_the_grid_without_it(
    predictor, present, views, times, reference
):
    grid = make_grid(present, reference)
    smaller = part(grid, views, times, (views.index(reference[0]), times.index(reference[1])))
    whole = fields(predictor.predict(grid))
    for name, values in fields(predictor.predict(smaller)).items():
        kept = whole[name][views][:, times]
        np.testing.assert_allclose(values, kept, atol=1e-5, equal_nan=True, err_msg=name)


def test_a_present_cell_changes_every_other(predictor):
    """Global attention at work: without it the test above would say nothing."""
    alone = predictor.predict(make_grid([[1, 1], [1, 0]]))
    joined = predictor.predict(make_grid([[1, 1], [1, 1]]))
    for view, time in ((0, 0), (0, 1), (1, 0)):
        change = (alone.depth[view, time] - joined.depth[view, time]).abs().max()
        assert change > 1e-4


def test_the_reference_cell_is_told_apart_from_others_of_equal_pixels(predictor):
    """Nothing else marks a cell: identifiers do not attend."""
    grid = make_grid(np.ones((2, 2)))
    same = grid.images[:1, :1].expand(2, 2, -1, -1, -1)
    depth = predictor.predict(replace(grid, images=same)).depth
    assert (depth[0, 0] - depth[0, 1]).abs().max() > 1e-4


def test_the_seed_decides_the_weights_and_nothing_else_does(predictor):
    grid = make_grid(ALL_CELLS)
    expected = predictor.predict(grid).depth
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = new(WITH_FLOW)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.predict(grid).depth, expected)
    assert not torch.equal(new(WITH_FLOW, 1).predict(grid).depth, expected)


def test_untrained_maps_vary_and_are_of_this_world(predictor):
    given = fields(predictor.predict(make_grid(np.ones((2, 2)), height=70, width=70)))
    for name in ('depth', 'depth_confidence', 'mask_logits'):
        assert given[name].std() > 0.01, name
    assert given['depth'].max() < 1e3 * given['depth'].min()


@pytest.mark.parametrize(
    'change, words',
    [
        ({'images': torch.zeros(2, 2, 3, 30, 42)}, '42x30 .* patch 14; resize to 42x28'),
        ({'images': torch.zeros(2, 2, 3, 28, 5)}, '5x28 .* resize to 14x28'),
        ({'images': torch.zeros(2, 2, 28, 42)}, r'\[V, T, 3, H, W\]'),
        ({'images': torch.zeros(2, 2, 3, 28, 42, dtype=torch.uint8)}, 'uint8'),
        ({'present': np.zeros((2, 2), bool)}, 'none of the 4 cells'),
        ({'present': np.ones((2, 3), bool)}, r'\[2, 3\] where the images have \[2, 2\]'),
        ({'present': np.array([[0, 1], [1, 1]], bool)}, r'reference cell \(view 0, time 0\)'),
        ({'reference': (2, 0)}, r'reference cell \(view 2, time 0\)'),
        ({'images': torch.full((2, 2, 3, 28, 42), np.inf)}, '4 of 4 images .* not finite'),
    ],
)
def test_a_grid_that_cannot_be_read_is_refused_in_plain_words(predictor, change, words):
    with pytest.raises(ValueError, match=words):
        predictor.predict(replace(make_grid(np.ones((2, 2))), **change))


def test_a_pixel_that_is_not_finite_is_named_by_its_cell(predictor):
    grid = make_grid(np.ones((2, 2)))
    grid.images[1, 0, 2, 5, 6] = np.nan
    with pytest.raises(ValueError, match='1 of 4 images .* view 1, time 0'):
        predictor.predict(grid)


def test_a_full_device_is_said_in_plain_words_and_the_next_window_is_read(monkeypatch):
    ours = new()
    grid = make_grid(np.ones((2, 2)))
    with monkeypatch.context() as patch:

        def full(*_):
            raise torch.cuda.OutOfMemoryError('CUDA out of memory')

        patch.setattr(ours._network, 'trunk', full)
        with pytest.raises(MemoryError, match='cpu .* 2 cameras x 2 instants of 42x28: lower'):
            ours.predict(grid)
    assert ours.predict(grid).depth.isfinite().all()

"""The small network keeps every convention of `Prediction`, whatever cells are missing."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.prediction import GridTensors, Prediction
from fourd_perception.model.tiny import TinyPredictor
import numpy as np
import pytest
import torch

ALL_CELLS = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
WITH_HOLES = [[1, 0, 1], [1, 1, 1], [0, 1, 1]]


def make_grid(present, reference=(0, 0), height=28, width=42, seed=0) -> GridTensors:
    present = np.array(present, bool)
    views, times = present.shape
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(views, times, 3, height, width, generator=generator)
    images[torch.from_numpy(~present)] = 0.0
    return GridTensors(
        images=images,
        present=present,
        valid=torch.ones(views, height, width, dtype=torch.bool),
        intrinsics=np.full((views, 3, 3), np.nan),
        pixel_maps=(PixelMap(),) * views,
        cameras=tuple(f'camera_{v}' for v in range(views)),
        stamps=np.where(present, 1_700_000_000_123_456_789, -1),
        reference=reference,
    )


def part(grid: GridTensors, views, times, reference=None) -> GridTensors:
    """Take some rows and columns of a grid."""
    return replace(
        grid,
        images=grid.images[views][:, times],
        present=grid.present[views][:, times],
        reference=reference or grid.reference,
    )


def fields(prediction: Prediction) -> dict[str, np.ndarray]:
    """List the given fields as arrays [V, T, ...]."""
    return {k: np.asarray(v) for k, v in vars(prediction).items() if v is not None}


@pytest.fixture(scope='module')
def predictor() -> TinyPredictor:
    return TinyPredictor(0)


def test_info_counts_about_a_million_parameters_and_warns(predictor):
    assert predictor.info.name == 'untrained:0'
    assert 0.7e6 < predictor.info.parameters < 1.5e6
    assert predictor.info.patch == 14
    assert 'UNTRAINED' in predictor.info.notice
    assert predictor.info.has_mask and predictor.info.has_flow


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


def test_flow_is_known_exactly_where_the_neighbour_in_time_is_present(predictor):
    present = np.array(WITH_HOLES, bool)
    given = fields(predictor.predict(make_grid(WITH_HOLES)))
    for view in range(3):
        for time in range(3):
            for name, other in (('flow_forward', time + 1), ('flow_backward', time - 1)):
                known = present[view, time] and 0 <= other < 3 and present[view, other]
                flow = given[name][view, time]
                assert np.isfinite(flow).all() if known else np.isnan(flow).all()


@pytest.mark.parametrize('present', [[[1], [1]], [[1, 0], [1, 0]]])
def test_one_instant_has_no_mask(predictor, present):
    assert predictor.predict(make_grid(present)).mask_logits.isnan().all()


@pytest.mark.parametrize('reference', [(0, 0), (1, 1), (2, 2)])
def test_the_world_is_the_camera_of_the_reference_cell(predictor, reference):
    poses = predictor.predict(make_grid(WITH_HOLES, reference)).world_from_camera
    assert np.array_equal(poses[reference], np.eye(4))
    known = poses[np.array(WITH_HOLES, bool)]
    rotation = known[:, :3, :3]
    assert np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max() < 1e-12
    assert np.abs(np.linalg.det(rotation) - 1.0).max() < 1e-12
    assert np.array_equal(known[:, 3], np.tile([0.0, 0.0, 0.0, 1.0], (len(known), 1)))


def test_intrinsics_are_a_pinhole_in_the_middle_of_the_image(predictor):
    intrinsics = predictor.predict(make_grid(ALL_CELLS, height=28, width=42)).intrinsics
    assert (intrinsics[..., 0, 0] > 0).all()
    assert np.array_equal(intrinsics[..., 0, 0], intrinsics[..., 1, 1])
    assert (intrinsics[..., 0, 2] == 20.5).all() and (intrinsics[..., 1, 2] == 13.5).all()


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


def test_equal_images_in_different_cells_are_told_apart(predictor):
    grid = make_grid(np.ones((2, 2)))
    same = grid.images[:1, :1].expand(2, 2, -1, -1, -1)
    depth = predictor.predict(replace(grid, images=same)).depth.flatten(0, 1)
    for first in range(4):
        for second in range(first):
            assert (depth[first] - depth[second]).abs().max() > 1e-4


def test_equal_patches_of_an_image_are_told_apart(predictor):
    grid = make_grid([[1]], height=98, width=98)
    grey = torch.full_like(grid.images, 0.5)
    centres = predictor.predict(replace(grid, images=grey)).depth[0, 0, 35:70:14, 35:70:14]
    assert centres.diff(dim=0).abs().min() > 1e-4
    assert centres.diff(dim=1).abs().min() > 1e-4


def test_the_seed_decides_the_weights_and_nothing_else_does(predictor):
    grid = make_grid(ALL_CELLS)
    expected = predictor.predict(grid).depth
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = TinyPredictor(0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.predict(grid).depth, expected)
    assert not torch.equal(TinyPredictor(1).predict(grid).depth, expected)


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

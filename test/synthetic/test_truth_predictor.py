"""The truth predictor answers exactly, in a gauge of its own, on the network's pixels."""

from dataclasses import fields, replace

from fourd_perception.geometry.clips import DYNAMIC, IGNORED
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.geometry.poses import invert
from fourd_perception.model.prediction import GridTensors, Prediction
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording, UnknownStamp
from fourd_perception.synthetic.truth_predictor import TruthPredictor
import numpy as np
import pytest
import torch

WIDTH, HEIGHT = 112, 84


@pytest.fixture(scope='module', params=['room', 'street'])
def recording(request):
    return make_recording(request.param, cameras=3, seconds=1.0, seed=3)


def grid_of(recording, first, last, missing=(), reference=(0, 0)):
    """The cells of slices first..last-1, all views letterboxed alike; intrinsics are hidden."""
    names = tuple(recording.cameras)
    stamps = np.array([recording.stamps(name)[first:last] for name in names])
    for cell in missing:
        stamps[cell] = -1
    maps = tuple(
        PixelMap(100 / c.width, 80 / c.height, 6.0, 2.0) for c in recording.cameras.values()
    )
    shape = stamps.shape
    return GridTensors(
        images=torch.zeros(*shape, 3, HEIGHT, WIDTH),
        present=stamps >= 0,
        valid=torch.ones(shape[0], HEIGHT, WIDTH, dtype=torch.bool),
        intrinsics=np.full((shape[0], 3, 3), np.nan),
        pixel_maps=maps,
        cameras=names,
        stamps=stamps,
        reference=reference,
    )


def network_camera(recording, grid, view):
    camera = recording.cameras[grid.cameras[view]]
    return camera.mapped(grid.pixel_maps[view], WIDTH, HEIGHT)


def arrays(prediction):
    values = {f.name: getattr(prediction, f.name) for f in fields(Prediction)}
    return {name: np.asarray(value) for name, value in values.items() if value is not None}


def scale_of(recording, grid, prediction):
    view, time = np.argwhere(grid.present)[0]
    camera = network_camera(recording, grid, view)
    truth = recording.depth(camera, int(grid.stamps[view, time]))
    return float(np.nanmedian(prediction.depth[view, time].numpy() / truth))


def test_depth_over_scale_is_the_recording_s_depth(recording):
    grid = grid_of(recording, 2, 5)
    prediction = TruthPredictor(recording).predict(grid)
    scale = scale_of(recording, grid, prediction)
    for view, time in np.argwhere(grid.present):
        camera = network_camera(recording, grid, view)
        truth = recording.depth(camera, int(grid.stamps[view, time]))
        depth = prediction.depth[view, time].numpy()
        assert np.allclose(depth / scale, truth, rtol=5e-7, equal_nan=True)
        confidence = prediction.depth_confidence[view, time].numpy()
        assert (confidence[np.isfinite(truth)] > 1).all()
        assert (confidence[np.isnan(truth)] == 1).all()
        assert np.array_equal(prediction.intrinsics[view, time], camera.intrinsics)


def test_world_is_the_reference_cell_s_camera_and_poses_are_the_recording_s(recording):
    grid = grid_of(recording, 2, 5, reference=(1, 1))
    prediction = TruthPredictor(recording).predict(grid)
    scale = scale_of(recording, grid, prediction)
    poses = prediction.world_from_camera
    assert np.allclose(poses[1, 1], np.eye(4), atol=1e-12)
    truth = np.array(
        [
            [recording.world_from_camera(name, int(s)) for s in row]
            for name, row in zip(grid.cameras, grid.stamps)
        ]
    )
    relative = invert(truth[1, 1]) @ truth
    assert np.allclose(poses[..., :3, :3], relative[..., :3, :3], atol=1e-12)
    assert np.allclose(poses[..., :3, 3], scale * relative[..., :3, 3], rtol=1e-6, atol=1e-9)


def test_points_agree_with_depth_pose_and_intrinsics(recording):
    grid = grid_of(recording, 2, 5)
    prediction = TruthPredictor(recording).predict(grid)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
    for view, time in np.argwhere(grid.present):
        rays = pixels @ np.linalg.inv(prediction.intrinsics[view, time]).T
        pose = prediction.world_from_camera[view, time]
        points = (rays * prediction.depth[view, time].numpy()[..., None]) @ pose[:3, :3].T
        given = prediction.points[view, time].numpy()
        assert np.allclose(given, points + pose[:3, 3], rtol=1e-5, atol=1e-5, equal_nan=True)


def test_scale_is_new_in_every_window_and_repeatable(recording):
    grids = [grid_of(recording, k, k + 2) for k in range(7)]
    predictor = TruthPredictor(recording)
    scales = [scale_of(recording, grid, predictor.predict(grid)) for grid in grids]
    assert len({round(scale, 4) for scale in scales}) == len(scales)
    assert all(0.2 <= scale <= 5.0 for scale in scales)
    again = TruthPredictor(recording).predict(grids[3])
    assert scale_of(recording, grids[3], again) == scales[3]
    other = TruthPredictor(recording, seed=1).predict(grids[3])
    assert scale_of(recording, grids[3], other) != scales[3]


def test_flow_and_masks_are_the_recording_s_at_network_size(recording):
    grid = grid_of(recording, 2, 5)
    prediction = TruthPredictor(recording).predict(grid)
    dynamic = 0
    for view, time in np.argwhere(grid.present):
        camera = network_camera(recording, grid, view)
        stamps = [int(stamp) for stamp in grid.stamps[view]]
        for step, flows in ((1, prediction.flow_forward), (-1, prediction.flow_backward)):
            flow = flows[view, time].numpy()
            if 0 <= time + step < len(stamps):
                truth, _ = recording.flow(camera, stamps[time], stamps[time + step])
                assert np.array_equal(flow.transpose(1, 2, 0), truth, equal_nan=True)
            else:
                assert np.isnan(flow).all()
        others = stamps[:time] + stamps[time + 1 :]
        label = dynamic_label(recording.own_motion(camera, stamps[time], others))
        logits = prediction.mask_logits[view, time].numpy()
        assert np.array_equal(np.isnan(logits), label == IGNORED)
        assert np.array_equal(logits > 0, label == DYNAMIC)
        dynamic += (label == DYNAMIC).sum()
    assert dynamic > 100


def test_missing_cells_are_nan_in_every_field_and_break_the_flow(recording):
    grid = grid_of(recording, 2, 5, missing=[(1, 1), (2, 0), (2, 2)])
    values = arrays(TruthPredictor(recording).predict(grid))
    for view, time in np.argwhere(~grid.present):
        assert all(np.isnan(value[view, time]).all() for value in values.values())
    # View 1 lost its middle: neighbours in the row are no neighbours in time.
    assert np.isnan(values['flow_forward'][1]).all()
    assert np.isnan(values['flow_backward'][1]).all()
    assert np.isfinite(values['mask_logits'][1, 0]).any()
    # View 2 has one instant left: nothing says what moves.
    assert np.isnan(values['mask_logits'][2]).all()


def test_one_instant_has_no_mask_and_no_flow(recording):
    values = arrays(TruthPredictor(recording).predict(grid_of(recording, 4, 5)))
    for name in ('mask_logits', 'flow_forward', 'flow_backward'):
        assert np.isnan(values[name]).all()
    assert np.isfinite(values['depth']).mean() > 0.5


def test_a_sliding_window_answers_like_a_fresh_predictor_and_casts_only_new_cells(
    recording, monkeypatch
):
    casts = []
    hits = SyntheticRecording.hits
    monkeypatch.setattr(
        SyntheticRecording, 'hits', lambda self, *cell: casts.append(cell) or hits(self, *cell)
    )
    predictor = TruthPredictor(recording)
    for first in range(4):
        grid = grid_of(recording, first, first + 3)
        casts.clear()
        slid = arrays(predictor.predict(grid))
        assert len(casts) == (9 if first == 0 else 3)
        fresh = arrays(TruthPredictor(recording).predict(grid))
        assert all(np.array_equal(slid[k], fresh[k], equal_nan=True) for k in slid)


def test_another_network_size_is_another_answer(recording):
    """The work kept for a cell is tied to its pixels, not only to its stamp."""
    predictor = TruthPredictor(recording)
    grid = grid_of(recording, 2, 4)
    predictor.predict(grid)
    shifted = replace(grid, pixel_maps=tuple(PixelMap(0.3, 0.3) for _ in grid.cameras))
    slid = arrays(predictor.predict(shifted))
    fresh = arrays(TruthPredictor(recording).predict(shifted))
    assert all(np.array_equal(slid[k], fresh[k], equal_nan=True) for k in slid)


def test_a_stamp_or_camera_that_is_not_recorded_is_named(recording):
    grid = grid_of(recording, 2, 4)
    predictor = TruthPredictor(recording)
    stamps = grid.stamps.copy()
    stamps[1, 1] += 5
    with pytest.raises(UnknownStamp, match=f'{recording.name}.*{stamps[1, 1]}'):
        predictor.predict(replace(grid, stamps=stamps))
    with pytest.raises(ValueError, match='rear'):
        predictor.predict(replace(grid, cameras=(grid.cameras[0], 'rear', grid.cameras[2])))


def test_opens_a_saved_recording_and_names_it(recording, tmp_path):
    recording.save(tmp_path)
    predictor = TruthPredictor.open(tmp_path)
    assert predictor.info.name == f'truth:{tmp_path}'
    grid = grid_of(recording, 2, 4)
    opened, made = (arrays(p.predict(grid)) for p in (predictor, TruthPredictor(recording)))
    assert all(np.array_equal(opened[k], made[k], equal_nan=True) for k in opened)

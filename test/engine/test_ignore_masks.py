"""The robot's own body in the images: whatever touches it is not told."""

import cv2
from fourd_perception.engine.clouds import fused_clouds
from fourd_perception.engine.engine import Engine
from fourd_perception.engine.ignore_masks import read_mask
from fourd_perception.engine.scene_update import Label, Output
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.geometry.cameras import Rig
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.projection import transform_points
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.synthetic.recording import make_recording
from fourd_perception.synthetic.truth_predictor import TruthPredictor
import numpy as np
import pytest


@pytest.fixture(scope='module')
def recording():
    return make_recording('room', cameras=2, seconds=0.5, rate=10.0)


def grey(recording, frame):
    camera = recording.cameras[frame.camera]
    return np.full((camera.height, camera.width, 3), 128, np.uint8)


def step(recording, masks, **settings):
    """The second update of an engine that ignores `masks`."""
    engine = Engine(
        TruthPredictor(recording),
        EngineSettings(**settings),
        lambda frame: grey(recording, frame),
        masks,
    )
    names = tuple(recording.cameras)
    for k in range(2):
        frames = tuple(Frame(name, recording.stamps(name)[k], None) for name in names)
        time_slice = TimeSlice(names, frames, names[0])
        update = engine.step(time_slice, Rig(recording.cameras), frozenset(Output))
    return update


def bumper(recording, name):
    """A mask of the lower right corner, and of one pixel far from it."""
    camera = recording.cameras[name]
    mask = np.zeros((camera.height, camera.width), bool)
    mask[-camera.height // 3 :, -camera.width // 4 :] = True
    mask[10, 11] = True
    return mask


@pytest.mark.parametrize('size', ['network', 'input', (200, 150)])
def test_ignored_pixels_are_unknown_and_in_no_cloud(recording, size):
    name, other = recording.cameras
    mask = bumper(recording, name)
    update = step(recording, {name: mask}, output_size=size)
    plain = step(recording, {}, output_size=size)
    camera, before = update.cameras[name], plain.cameras[name]
    assert (camera.input_label[mask] == Label.UNKNOWN).all()
    # The output pixels whose centres an ignored pixel shows.
    height, width = camera.depth.shape
    at = camera.output.intrinsics @ np.linalg.inv(camera.input.intrinsics)
    inside = np.argwhere(mask) @ np.diag([at[1, 1], at[0, 0]]) + [at[1, 2], at[0, 2]]
    rows, columns = np.rint(inside).astype(int).clip(0, [height - 1, width - 1]).T
    for array, ignored in (
        (np.isfinite(camera.depth), False),
        (camera.confidence, 0),
        (camera.label, Label.UNKNOWN),
        (np.isfinite(camera.flow_backward).all(axis=2), False),
    ):
        assert (array[rows, columns] == ignored).all()
    assert np.isfinite(before.depth[rows, columns]).mean() > 0.5, 'there was something to ignore'
    lost = np.isfinite(before.depth) & ~np.isfinite(camera.depth)
    assert lost.mean() < mask.mean() + 0.05, 'the rest stays'
    np.testing.assert_array_equal(update.cameras[other].depth, plain.cameras[other].depth)
    np.testing.assert_array_equal(update.cameras[other].label, plain.cameras[other].label)


def test_a_camera_that_sees_nothing_but_the_robot_adds_nothing(recording):
    name, other = recording.cameras
    model = recording.cameras[name]
    update = step(recording, {name: np.ones((model.height, model.width), bool)})
    assert update.scale.metric
    clouds = fused_clouds(update, 'world', 0.02, frozenset({Output.POINTS}))
    seen = update.cameras[other]
    local = transform_points(invert(seen.world_from_camera), clouds[Output.POINTS].xyz)
    pixels = local @ seen.output.intrinsics.T
    u, v = (pixels[:, :2] / pixels[:, 2:]).T
    assert len(u) > 100 and (local[:, 2] > 0).all()
    assert (np.abs(u - np.rint(u)) < 0.01).all() and (np.abs(v - np.rint(v)) < 0.01).all()


def test_a_mask_of_another_size_is_told_with_both_sizes(recording):
    name = next(iter(recording.cameras))
    update = step(recording, {name: np.zeros((7, 9), bool)})
    ((frame, reason),) = update.faults
    camera = recording.cameras[name]
    assert frame.camera == name
    assert f'{camera.width}x{camera.height} pixels, its ignore_mask 9x7' in reason


def test_pixels_that_are_not_zero_are_ignored(tmp_path):
    drawn = np.zeros((4, 6), np.uint8)
    drawn[1, 2:4] = 1, 255
    path = tmp_path / 'mask.png'
    cv2.imwrite(str(path), drawn)
    np.testing.assert_array_equal(read_mask(path), drawn > 0)
    path.write_text('no image')
    with pytest.raises(ValueError, match=r'mask\.png cannot be read'):
        read_mask(path)

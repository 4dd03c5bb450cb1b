"""The engine from slices to updates, with the exact geometry of a recording in random gauges."""

from dataclasses import replace
from itertools import cycle

from driving import ALL, check_poses, Drive, POSES, without_rig
from fourd_perception.engine.clouds import camera_cloud, fused_clouds
from fourd_perception.engine.engine import UnusableSlice
from fourd_perception.engine.network_size import lay_out
from fourd_perception.engine.scene_update import Label, Output
from fourd_perception.geometry.cameras import Rig
from fourd_perception.geometry.projection import transform_points
from fourd_perception.model.prediction import PredictorInfo
from fourd_perception.synthetic.recording import make_recording
from fourd_perception.synthetic.truth_predictor import TruthPredictor
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def recording():
    return make_recording('room', cameras=4, seconds=1.0, rate=10.0)


def near_edges(depth, radius=2):
    """Pixels within `radius` of a depth edge: a step, or a crease between two planes."""
    inverse = np.nan_to_num(1 / depth.astype(float))
    edge = np.zeros(depth.shape, bool)
    for view, out in ((inverse, edge), (inverse.T, edge.T)):
        crease = np.abs(view[:-2] - 2 * view[1:-1] + view[2:]) > 1e-3 * view[1:-1]
        out[1:-1] |= crease
        step = np.maximum(view[:-1], view[1:]) > 1.05 * np.minimum(view[:-1], view[1:])
        out[:-1] |= step
        out[1:] |= step
    grown = edge.copy()
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            grown |= np.roll(edge, (dy, dx), (0, 1))
    return grown


def inside(camera):
    """Bool [h, w]: the part of a network-sized output that shows the camera's image."""
    layout = lay_out(
        (camera.input.width, camera.input.height), (camera.output.width, camera.output.height)
    )
    shown = np.zeros((camera.output.height, camera.output.width), bool)
    shown[layout.rows, layout.columns] = True
    return shown


def check_dense(camera, recording, older, away_from_edges):
    """Depth 1e-3, flow .05 px, masks equal, on valid pixels (away from edges where asked)."""
    truth = recording.depth(camera.output, camera.frame.stamp)
    looked_at = ~near_edges(truth) if away_from_edges else inside(camera)
    seen = looked_at & np.isfinite(camera.depth)
    assert seen.sum() > 0.99 * looked_at.sum()
    np.testing.assert_allclose(camera.depth[seen], truth[seen], rtol=1e-3)

    flow = camera.flow_forward
    expected, _ = recording.flow(camera.output, flow.older_stamp, flow.newer_stamp)
    known = np.isfinite(flow.flow).all(axis=2) & np.isfinite(expected).all(axis=2)
    if away_from_edges:
        known &= ~near_edges(recording.depth(camera.output, flow.older_stamp))
    assert known.sum() > 0.5 * looked_at.sum()
    assert np.linalg.norm(flow.flow - expected, axis=2)[known].max() < 0.05

    own = recording.own_motion(camera.output, camera.frame.stamp, older)
    known = looked_at & (camera.label != Label.UNKNOWN) & ((own > 1.5) | (own < 0.2))
    assert known.sum() > 0.9 * looked_at.sum()
    np.testing.assert_array_equal((camera.label == Label.DYNAMIC)[known], (own > 1.5)[known])


@pytest.mark.parametrize('size', ['network', 'input'])
def test_every_value_is_exact(recording, size):
    drive = Drive(recording, output_size=size, pixel_budget=37_632)
    start = recording.stamps(drive.cameras[0])[0]
    updates = drive.run(range(6))
    for update in updates:
        check_poses(update, recording, start)
    newest = updates[-1]
    assert newest.scale.source == 'rig'
    assert newest.window_fill == 4
    for name, camera in newest.cameras.items():
        older = recording.stamps(name)[2:5]
        assert camera.frame.stamp == recording.stamps(name)[5]
        assert camera.flow_forward.newer_stamp == camera.frame.stamp
        assert camera.flow_forward.older_stamp == recording.stamps(name)[4]
        height, width = camera.depth.shape
        assert (camera.output.width, camera.output.height) == (width, height)
        assert (size == 'input') == (camera.input is camera.output)
        check_dense(camera, recording, older, away_from_edges=size == 'input')


def test_scale_is_the_one_that_the_predictor_hid(recording):
    class Watched(TruthPredictor):
        def predict(self, grid):
            self.answer = super().predict(grid)
            self.grid = grid
            return self.answer

    predictor = Watched(recording)
    drive = Drive(recording, predictor)
    for k in range(3):
        update = drive.step(k, POSES)
        view, time = 1, -1
        camera = recording.cameras[drive.cameras[view]]
        pixel_map = predictor.grid.pixel_maps[view]
        height, width = predictor.grid.images.shape[-2:]
        truth = recording.depth(
            camera.mapped(pixel_map, width, height), update.cameras[camera.name].frame.stamp
        )
        hidden = np.nanmedian(truth / predictor.answer.depth[view, time].numpy())
        assert update.scale.value == pytest.approx(hidden, rel=1e-5)


def test_clouds_lie_on_the_surfaces_and_static_points_on_what_never_moves(recording):
    drive = Drive(recording, pixel_budget=37_632)
    world = recording.world_from_base(recording.stamps(drive.cameras[0])[0])
    update = drive.run(range(4))[-1]
    stamp = update.slice.stamp
    for camera in update.cameras.values():
        cloud = camera_cloud(camera)
        points = cloud.xyz[np.isfinite(cloud.xyz).all(axis=2)]
        distance, _ = recording.surfaces(
            transform_points(world @ camera.world_from_camera, points.astype(float)), stamp
        )
        assert distance.max() < 1e-3
    for frame, from_frame in (('world', world), ('base', world @ update.world_from_base)):
        clouds = fused_clouds(update, frame, 0.05, ALL)
        movers = {}
        for kind, cloud in clouds.items():
            distance, mover = recording.surfaces(
                transform_points(from_frame, cloud.xyz.astype(float)), stamp
            )
            assert distance.max() < 1e-3
            movers[kind] = mover
        assert not movers[Output.POINTS_STATIC].any()
        assert movers[Output.POINTS_DYNAMIC].all() and len(movers[Output.POINTS_DYNAMIC]) > 50
        assert movers[Output.POINTS].any()


def test_a_camera_dies_then_the_reference_and_both_come_back(recording):
    drive = Drive(recording)
    first, second = drive.cameras[:2]
    gone = [(), (), (second,), (second,), (first, second), (first,), (first,), (first,), (), ()]
    start = recording.stamps(first)[0]
    for k, missing in enumerate(gone):
        update = drive.step(k, POSES, missing)
        assert set(update.cameras) == set(drive.cameras) - set(missing)
        assert update.scale.metric
        assert update.world_reset == ''
        check_poses(update, recording, start)


def test_down_to_one_camera_depth_stays_metric(recording):
    drive = Drive(recording)
    drive.run(range(2), POSES)
    for k in range(2, 8):
        update = drive.step(k, frozenset({Output.DEPTH}), missing=drive.cameras[1:])
        (camera,) = update.cameras.values()
        truth = recording.depth(camera.output, camera.frame.stamp)
        valid = np.isfinite(camera.depth)
        np.testing.assert_allclose(camera.depth[valid], truth[valid], rtol=1e-5)
        check_poses(update, recording, recording.stamps(drive.cameras[0])[0])
    assert update.scale.source == 'chain'


FIELDS = (
    'colour', 'depth', 'confidence', 'label', 'input_label', 'flow_backward', 'flow_forward',
)  # fmt: skip


@pytest.mark.parametrize(
    'wanted, fields, stages',
    [
        ({Output.DEPTH}, {'depth'}, {'depth'}),
        ({Output.CONFIDENCE}, {'confidence'}, {'depth'}),
        ({Output.DYNAMIC_MASK}, {'input_label'}, {'labels'}),
        ({Output.LABELS}, {'label'}, {'labels'}),
        ({Output.FLOW}, {'flow_forward', 'flow_backward'}, {'flow'}),
        ({Output.FLOW_COLOR}, {'flow_forward'}, {'flow'}),
        ({Output.CAMERA_POINTS}, {'depth', 'colour'}, {'colour', 'depth'}),
        ({Output.POINTS}, {'depth', 'colour'}, {'colour', 'depth'}),
        (
            {Output.POINTS_STATIC},
            {'depth', 'colour', 'label'},
            {'colour', 'depth', 'labels'},
        ),
        ({Output.POSE, Output.ODOMETRY, Output.PATH, Output.TF}, set(), set()),
    ],
)
def test_only_what_is_wanted_is_computed(recording, wanted, fields, stages):
    drive = Drive(recording)
    drive.step(0, POSES)
    update = drive.step(1, frozenset(wanted))
    always = {'decode', 'resize', 'predict', 'world'}
    assert set(update.timings) == always | stages
    for camera in update.cameras.values():
        assert {name for name in FIELDS if getattr(camera, name) is not None} == fields
        assert camera.world_from_camera is not None


def test_with_one_instant_there_is_no_mask_and_no_flow_but_depth_and_poses(recording):
    update = Drive(recording).step(0)
    for camera in update.cameras.values():
        assert camera.label is None
        assert camera.input_label is None
        assert camera.flow_forward is None
        assert camera.depth is not None
    clouds = fused_clouds(update, 'base', 0.05, ALL)
    assert len(clouds[Output.POINTS].xyz)
    assert not len(clouds[Output.POINTS_STATIC].xyz)


def test_a_frame_is_decoded_once_however_many_windows_it_is_in(recording):
    drive = Drive(recording)
    drive.run(range(8), POSES)
    assert set(drive.decoded.values()) == {1}


def test_the_mask_has_the_size_of_the_input_and_is_static_only_where_known(recording):
    drive = Drive(recording, pixel_budget=37_632)
    update = drive.run(range(4), frozenset({Output.DYNAMIC_MASK}))[-1]
    dynamic = 0
    for name, camera in update.cameras.items():
        model = recording.cameras[name]
        assert camera.input_label.shape == (model.height, model.width)
        own = recording.own_motion(model, camera.frame.stamp, recording.stamps(name)[:3])
        edges = near_edges(recording.depth(model, camera.frame.stamp))
        label = camera.input_label
        assert not (label[~edges & (own > 2)] == Label.STATIC).any()
        assert (label[~edges & (own < 0.2)] == Label.STATIC).mean() > 0.99
        dynamic += (label == Label.DYNAMIC).sum()
    assert dynamic > 100


def test_colour_is_the_image_at_output_size(recording):
    drive = Drive(
        recording, images=lambda f: recording.image(f.camera, f.stamp), output_size='input'
    )
    update = drive.step(0, frozenset({Output.CAMERA_POINTS}))
    for name, camera in update.cameras.items():
        np.testing.assert_array_equal(camera.colour, recording.image(name, camera.frame.stamp))


def test_a_size_of_its_own_for_all_cameras(recording):
    update = Drive(recording, output_size=(200, 150)).run(range(2))[-1]
    for camera in update.cameras.values():
        assert camera.depth.shape == camera.label.shape == (150, 200)
        assert camera.flow_forward.flow.shape == camera.colour.shape[:2] + (2,) == (150, 200, 2)
        assert camera.output.width == 200


def test_unreadable_frames_are_left_out_with_the_reason(recording):
    drive = Drive(recording)
    broken = drive.cameras[0]

    def images(frame):
        if frame.camera == broken:
            raise ValueError('encoding yuv9 is not known')
        return drive.grey(frame)

    drive.images = images
    update = drive.step(0)
    assert [(f.camera, why) for f, why in update.faults] == [
        (broken, 'encoding yuv9 is not known')
    ]
    assert broken not in update.cameras
    assert update.slice.reference == drive.cameras[1]


def test_an_image_that_contradicts_its_camera_info_is_refused_with_both_sizes(recording):
    drive = Drive(recording, images=lambda frame: np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(UnusableSlice) as unusable:
        drive.step(0)
    assert len(unusable.value.faults) == 4
    assert '64x48 pixels, its CameraInfo is for 320x240' in str(unusable.value)


METRIC = ('depth', 'confidence', 'colour', 'world_from_camera')


def test_without_a_scale_nothing_is_handed_out_as_metres(recording):
    drive = Drive(recording)
    update = drive.run(range(3), rig=without_rig(recording))[-1]
    assert not update.metric
    assert 'TF is silent' in update.scale.reason
    assert update.world_from_base is None
    for camera in update.cameras.values():
        assert all(getattr(camera, name) is None for name in METRIC)
        assert camera.label is not None
        assert camera.flow_forward is not None


def test_unscaled_output_on_request_has_the_right_shape(recording):
    drive = Drive(recording, allow_unscaled=True)
    ratios = []
    for k in range(6):
        update = drive.step(k, rig=without_rig(recording))
        assert not update.metric
        for camera in update.cameras.values():
            truth = recording.depth(camera.output, camera.frame.stamp)
            ratios.append(np.nanmedian(camera.depth / truth))
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)  # one unit for all windows
    assert not update.rig_known
    assert update.world_from_base is not None


def test_an_uncalibrated_camera_has_masks_and_flow_and_depth_only_on_request(recording):
    name = tuple(recording.cameras)[1]
    others = Rig({n: c for n, c in recording.cameras.items() if n != name})
    strict = Drive(recording).run(range(2), rig=others)[-1].cameras
    assert strict[name].depth is None and strict[name].label is not None
    assert strict[tuple(recording.cameras)[0]].depth is not None

    camera = Drive(recording, allow_unscaled=True).run(range(2), rig=others)[-1].cameras[name]
    assert camera.input.intrinsics is None
    assert camera.depth is not None
    model = recording.cameras[name]
    layout = lay_out((model.width, model.height), (112, 84))
    expected = model.mapped(layout.pixel_map, 112, 84)
    np.testing.assert_allclose(camera.output.intrinsics, expected.intrinsics, rtol=1e-6)


class WrongFocal(TruthPredictor):
    """A network that believes in other focal lengths, window by window, and depth follows."""

    def __init__(self, recording, *factors):
        super().__init__(recording)
        self.factors = cycle(factors)

    def predict(self, grid):
        answer = super().predict(grid)
        factor = next(self.factors)
        intrinsics = answer.intrinsics.copy()
        intrinsics[..., 0, 0] *= factor
        intrinsics[..., 1, 1] *= factor
        return replace(answer, depth=answer.depth * factor, intrinsics=intrinsics)


@pytest.mark.parametrize('factor, warns', [(0.7, True), (1.1, False), (1.3, True)])
def test_the_known_focal_length_counts_and_a_large_difference_is_told(recording, factor, warns):
    update = Drive(recording, WrongFocal(recording, factor)).step(0)
    for camera in update.cameras.values():
        truth = recording.depth(camera.output, camera.frame.stamp)
        valid = np.isfinite(camera.depth)
        np.testing.assert_allclose(camera.depth[valid], truth[valid], rtol=1e-5)
    assert len(update.warnings) == (4 if warns else 0)
    if warns:
        assert 'focal length' in update.warnings[0]
        assert update.warnings[0].startswith(next(iter(recording.cameras)))


def test_a_carried_scale_does_not_follow_the_focal_length_that_the_network_believes(recording):
    drive = Drive(recording, WrongFocal(recording, 1.1, 0.9, 1.0))
    drive.run(range(2), POSES)
    for k in range(2, 8):
        update = drive.step(k, frozenset({Output.DEPTH}), missing=drive.cameras[1:])
        (camera,) = update.cameras.values()
        truth = recording.depth(camera.output, camera.frame.stamp)
        valid = np.isfinite(camera.depth)
        np.testing.assert_allclose(camera.depth[valid], truth[valid], rtol=1e-5)
    assert update.scale.source == 'chain'


def test_cameras_that_stand_still_keep_the_poses_that_tf_gives_them(recording):
    drive = Drive(recording)
    room = {
        name: replace(
            camera,
            base_from_camera=recording.world_from_camera(name, recording.stamps(name)[0]),
        )
        for name, camera in recording.cameras.items()
    }
    update = drive.step(0, rig=Rig(room, fixed=True))
    reference = room[update.slice.reference].base_from_camera
    np.testing.assert_allclose(update.world_from_base, reference, atol=1e-9)
    assert not update.rig_known
    for name, camera in update.cameras.items():
        np.testing.assert_allclose(
            camera.world_from_camera, room[name].base_from_camera, atol=1e-9
        )
        truth = recording.depth(camera.output, camera.frame.stamp)
        valid = np.isfinite(camera.depth)
        np.testing.assert_allclose(camera.depth[valid], truth[valid], rtol=1e-5)


def test_after_a_gap_the_world_begins_anew_and_says_so(recording):
    drive = Drive(recording, window_max_gap=0.25)
    drive.run(range(3), POSES)
    update = drive.step(6, POSES)
    assert 'no frame is shared' in update.world_reset
    assert update.window_fill == 1
    np.testing.assert_allclose(update.world_from_base, np.eye(4), atol=1e-9)


def test_reset_forgets_window_world_and_scale(recording):
    drive = Drive(recording)
    drive.run(range(3), POSES)
    drive.engine.reset()
    assert drive.engine.window_fill == 0
    update = drive.step(3, POSES)
    assert update.window_fill == 1
    assert update.world_reset == ''
    np.testing.assert_allclose(update.world_from_base, np.eye(4), atol=1e-9)


def test_cameras_that_turn_up_later_may_change_the_network_size(recording):
    """A portrait camera alone at first: nothing is known of the others, not even their sizes."""
    *others, portrait = recording.cameras
    drive = Drive(recording, allow_unscaled=True)
    alone = Rig({portrait: recording.cameras[portrait]})
    before = drive.run(range(2), missing=others, rig=alone)[-1]
    after = drive.step(2)
    assert before.cameras[portrait].depth.shape != after.cameras[portrait].depth.shape
    assert after.window_fill == 3
    assert after.scale.source == 'rig'
    for camera in after.cameras.values():
        truth = recording.depth(camera.output, camera.frame.stamp)
        valid = np.isfinite(camera.depth)
        assert valid.sum() > 0.5 * valid.size
        np.testing.assert_allclose(camera.depth[valid], truth[valid], rtol=1e-5)
    assert max(drive.decoded.values()) == 2  # what was in the window, once more


def test_a_camera_that_changes_its_size_empties_the_window(recording):
    drive = Drive(recording)
    name = drive.cameras[1]
    drive.run(range(3), POSES)
    drive.images = lambda frame: np.repeat(np.repeat(drive.grey(frame), 2, 0), 2, 1)
    twice = {n: c.resized(2 * c.width, 2 * c.height) for n, c in recording.cameras.items()}
    update = drive.step(3, POSES, rig=Rig(twice))
    assert update.window_fill == 1
    assert update.cameras[name].input.width == 2 * recording.cameras[name].width


def test_min_interval_is_asked_of_the_engine(recording):
    drive = Drive(recording, window_min_interval=0.15)
    assert drive.engine.admits(drive.slice(0))
    drive.step(0, POSES)
    assert not drive.engine.admits(drive.slice(1))
    assert drive.engine.admits(drive.slice(2))


def test_a_predictor_without_masks_and_flow_leaves_them_out(recording):
    class Bare(TruthPredictor):
        info = PredictorInfo('bare', 14, 'Apache-2.0', has_mask=False, has_flow=False)

        def __init__(self, recording):
            super().__init__(recording)

        def predict(self, grid):
            answer = super().predict(grid)
            return replace(answer, mask_logits=None, flow_forward=None, flow_backward=None)

    update = Drive(recording, Bare(recording)).run(range(3))[-1]
    for camera in update.cameras.values():
        assert camera.label is None and camera.input_label is None
        assert camera.flow_forward is None and camera.flow_backward is None
        assert camera.depth is not None


class FailsAt(TruthPredictor):
    """The truth, but an error for one window."""

    def __init__(self, recording, number, error):
        super().__init__(recording)
        self.number, self.error, self.asked = number, error, 0

    def predict(self, grid):
        self.asked += 1
        if self.asked == self.number:
            raise self.error
        return super().predict(grid)


@pytest.mark.parametrize('length', [2, 4])
def test_a_slice_that_could_not_be_inferred_leaves_no_trace(recording, length):
    failing = FailsAt(recording, 4, ValueError('no luck'))
    drive = Drive(recording, failing, window_length=length)
    before = drive.run(range(3))[-1]
    with pytest.raises(ValueError, match='no luck'):
        drive.step(3)
    assert drive.engine.window_fill == before.window_fill
    after = drive.step(4)
    start = recording.stamps(drive.cameras[0])[0]
    check_poses(after, recording, start)
    for name, camera in after.cameras.items():
        assert camera.flow_forward.older_stamp == recording.stamps(name)[2]


def test_what_fails_after_the_network_leaves_no_trace_either(recording, monkeypatch):
    drive = Drive(recording, window_max_gap=0.25)
    drive.run(range(3), POSES)
    with monkeypatch.context() as broken:
        broken.setattr(drive.engine, '_camera', None)
        with pytest.raises(TypeError):
            drive.step(8, POSES)  # after a gap, where window and world begin anew
    assert drive.engine.window_fill == 3
    update = drive.step(3, POSES)
    assert update.world_reset == ''
    check_poses(update, recording, recording.stamps(drive.cameras[0])[0])


def test_a_gpu_that_is_too_small_is_told_with_the_remedy(recording):
    full = torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 9 GiB')
    drive = Drive(recording, FailsAt(recording, 2, full))
    drive.step(0)
    with pytest.raises(MemoryError, match=r'4 cameras x 2 slices of \d+x\d+ px; .*pixel_budget'):
        drive.step(1)
    assert drive.step(2).window_fill == 2

"""A recording's images, flow, masks and file."""

import cv2
from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording, UnknownStamp
import numpy as np
import pytest


@pytest.fixture(scope='module', params=['room', 'street'])
def recording(request):
    return make_recording(request.param, cameras=4, seconds=1.0, seed=2)


def ego_flow(recording, camera, stamp, other):
    """Flow [h, w, 2] of a world that stands still, from depth and the two poses alone."""
    y, x = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
    depth = recording.depth(camera, stamp).astype(float)
    points = (pixels @ np.linalg.inv(camera.intrinsics).T) * depth[..., None]
    other_from_camera = invert(recording.world_from_camera(camera.name, other))
    other_from_camera = other_from_camera @ recording.world_from_camera(camera.name, stamp)
    moved = points @ other_from_camera[:3, :3].T + other_from_camera[:3, 3]
    image = moved @ camera.intrinsics.T
    flow = image[..., :2] / image[..., 2:] - pixels[..., :2]
    flow[moved[..., 2] <= 0] = np.nan
    return flow


def moving_pixels(recording, camera, stamp):
    moves = np.array([body.motion.moves for body in recording.bodies] + [False])
    return moves[recording.hits(camera, stamp).body].reshape(camera.height, camera.width)


def test_depth_and_poses_predict_the_flow_of_static_pixels(recording):
    for name, camera in recording.cameras.items():
        stamps = recording.stamps(name)
        for stamp, other in ((stamps[0], stamps[1]), (stamps[6], stamps[5])):
            flow, _ = recording.flow(camera, stamp, other)
            static = ~moving_pixels(recording, camera, stamp)
            error = np.abs(flow - ego_flow(recording, camera, stamp, other))[static]
            known = np.isfinite(error)
            assert known.mean() > 0.5
            assert error[known].max() < 1e-3


def test_masks_equal_flow_minus_ego_motion(recording):
    seen = 0
    for name, camera in recording.cameras.items():
        stamps = recording.stamps(name)
        others = stamps[4], stamps[6], stamps[2]
        residual = np.zeros((camera.height, camera.width))
        for other in others:
            flow, _ = recording.flow(camera, stamps[5], other)
            apart = np.linalg.norm(flow - ego_flow(recording, camera, stamps[5], other), axis=-1)
            residual = np.fmax(residual, apart)
        own_motion = recording.own_motion(camera, stamps[5], others)
        assert np.abs(own_motion - residual).max() < 1e-3
        label = dynamic_label(own_motion)
        moving = moving_pixels(recording, camera, stamps[5])
        assert (label[~moving] == STATIC).all()
        assert (label[moving] == DYNAMIC).mean() > 0.95 if moving.any() else True
        seen += moving.sum()
    assert seen > 1000


def test_labels_have_an_ignored_band_between_a_third_of_a_pixel_and_a_pixel():
    own_motion = np.array([0.0, 0.29, 0.31, 0.99, 1.01, 40.0])
    expected = [STATIC, STATIC, IGNORED, IGNORED, DYNAMIC, DYNAMIC]
    assert dynamic_label(own_motion).tolist() == expected


def test_flow_there_and_back_returns_where_nothing_is_occluded(recording):
    name, camera = next(iter(recording.cameras.items()))
    stamp, other = recording.stamps(name)[3:5]
    forward, occluded = recording.flow(camera, stamp, other)
    backward, _ = recording.flow(camera, other, stamp)
    y, x = np.mgrid[: camera.height, : camera.width].astype(np.float32)
    there = np.nan_to_num(np.stack([x, y], axis=-1) + forward).astype(np.float32)
    bodies = [recording.hits(camera, s).body.reshape(x.shape) for s in (stamp, other)]
    # Interpolated backward flow is right inside surfaces: where all four neighbours are of one.
    low = np.floor(there)
    share = there - low
    back, same = np.zeros_like(forward), np.ones(x.shape, bool)
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        u, v = (low + corner).astype(int).transpose(2, 0, 1)
        u, v = u.clip(0, camera.width - 1), v.clip(0, camera.height - 1)
        weight = np.where(corner, share, 1 - share).prod(axis=-1)
        back += weight[..., None] * backward[v, u]
        same &= bodies[1][v, u] == bodies[0]
    error = np.linalg.norm(forward + back, axis=-1)
    assert same[~occluded].mean() > 0.9
    assert np.percentile(error[~occluded & same], 99) < 0.2
    assert 0.002 < occluded.mean() < 0.6


def test_images_show_what_the_flow_says(recording):
    """Warping the next image back by the flow explains the image; ten times better than none."""
    for name, camera in recording.cameras.items():
        stamp, other = recording.stamps(name)[3:5]
        flow, occluded = recording.flow(camera, stamp, other)
        image, following = (recording.image(name, s).astype(np.float32) for s in (stamp, other))
        y, x = np.mgrid[: camera.height, : camera.width].astype(np.float32)
        there = np.stack([x, y], axis=-1) + np.nan_to_num(flow)
        warped = cv2.remap(following, there, None, cv2.INTER_CUBIC)
        explained = np.abs(warped - image)[~occluded].mean()
        assert explained < 0.4 * np.abs(following - image)[~occluded].mean()
        assert explained < 6


def test_two_cameras_show_the_same_colour_where_they_see_the_same_point(recording):
    left, right = recording.cameras['front_left'], recording.cameras['front_right']
    stamp = recording.stamps('front_left')[4]
    right_stamp = recording.stamps('front_right')[4]
    y, x = np.mgrid[: left.height, : left.width]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
    depth = recording.depth(left, stamp)
    points = (pixels @ np.linalg.inv(left.intrinsics).T) * depth[..., None]
    right_from_left = invert(recording.world_from_camera('front_right', right_stamp))
    right_from_left = right_from_left @ recording.world_from_camera('front_left', stamp)
    points = points @ right_from_left[:3, :3].T + right_from_left[:3, 3]
    image = points @ right.intrinsics.T
    spots = (image[..., :2] / image[..., 2:]).astype(np.float32)
    there = recording.depth(right, right_stamp)
    seen = cv2.remap(there, spots, None, cv2.INTER_NEAREST, borderValue=np.nan)
    shared = np.isfinite(depth) & (points[..., 2] > 0) & (np.abs(seen / points[..., 2] - 1) < 0.01)
    assert shared.mean() > 0.05
    colours = recording.image('front_left', stamp).astype(np.float32)[shared]
    other = recording.image('front_right', right_stamp).astype(np.float32)
    apart = [
        np.abs(cv2.remap(other, spots + shift, None, cv2.INTER_LINEAR)[shared] - colours).mean()
        for shift in (np.float32([0, 0]), np.float32([1.5, 0]), np.float32([0, 1.5]))
    ]
    assert apart[0] < 0.75 * min(apart[1:])


def test_stamps_are_integers_that_no_float_holds(recording):
    stamps = [s for name in recording.cameras for s in recording.stamps(name)]
    assert all(isinstance(stamp, int) for stamp in stamps)
    assert len(set(stamps)) == len(stamps)
    assert np.mean([int(float(stamp)) != stamp for stamp in stamps]) > 0.9
    gaps = np.diff([recording.stamps(name)[3] for name in recording.cameras])
    assert np.abs(gaps).max() < 1000


def test_save_and_load_give_everything_back_exactly(recording, tmp_path):
    recording.save(tmp_path / 'new' / 'recording')
    loaded = SyntheticRecording.load(tmp_path / 'new' / 'recording')
    assert loaded.bodies == recording.bodies
    assert loaded.trajectory == recording.trajectory
    assert loaded.light == recording.light
    assert loaded.camera_stamps == recording.camera_stamps
    for name, camera in recording.cameras.items():
        again = loaded.cameras[name]
        assert (again.width, again.height) == (camera.width, camera.height)
        assert again.frame_id == camera.frame_id
        assert np.array_equal(again.intrinsics, camera.intrinsics)
        assert np.array_equal(again.base_from_camera, camera.base_from_camera)
    name = next(iter(recording.cameras))
    stamp = recording.stamps(name)[1]
    assert np.array_equal(loaded.image(name, stamp), recording.image(name, stamp))


def test_the_same_seed_gives_the_same_recording_and_another_seed_another():
    first, same, other = (make_recording('room', seconds=0.3, seed=s) for s in (7, 7, 8))
    stamp = first.stamps('left')[0]
    assert np.array_equal(first.image('left', stamp), same.image('left', stamp))
    assert not np.array_equal(first.image('left', stamp), other.image('left', stamp))


def test_an_unknown_stamp_or_camera_is_named_with_the_recording(recording):
    name, camera = next(iter(recording.cameras.items()))
    stamp = recording.stamps(name)[0] + 1
    with pytest.raises(UnknownStamp, match=str(stamp)):
        recording.depth(camera, stamp)
    with pytest.raises(UnknownStamp, match=recording.name):
        recording.flow(camera, recording.stamps(name)[0], stamp)
    with pytest.raises(UnknownStamp, match='outside'):
        recording.world_from_base(recording.end + 1)
    with pytest.raises(ValueError, match='rear'):
        recording.image('rear', stamp)


def test_a_directory_without_a_recording_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='fourd-perception synth'):
        SyntheticRecording.load(tmp_path)

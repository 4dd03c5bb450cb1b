"""Poses of the engine when motions are solved: the network's own may be wrong."""

from dataclasses import replace

from driving import check_poses, Drive, POSES, without_rig
from fourd_perception.engine.flow_sightings import solved_motions
from fourd_perception.engine.solved_motion import carried_on, Motion
from fourd_perception.geometry.cameras import Rig
from fourd_perception.geometry.poses import invert, nearest_rotation, rotation_angle, transform
from fourd_perception.synthetic.recording import make_recording
from fourd_perception.synthetic.truth_predictor import TruthPredictor
import numpy as np
import pytest
import torch

MOVING = 6.0  # logit


@pytest.fixture(scope='module')
def recording():
    return make_recording('room', cameras=4, seconds=1.0, rate=10.0)


def turned_by(rng, degrees):
    axis = rng.normal(size=3)
    x, y, z = np.radians(degrees) * axis / np.linalg.norm(axis)
    return nearest_rotation(np.eye(3) + [[0, -z, y], [z, 0, -x], [-y, x, 0]])


class WrongHead(TruthPredictor):
    """Exact depth, masks and flow, but a camera head that is off anew in every window.

    degrees, share: rotation, and translation as a share of the depth, of every slice as a whole
    of_cameras:     rotation of every camera by itself, degrees
    """

    def __init__(self, recording, degrees=2.0, share=0.05, of_cameras=0.0):
        super().__init__(recording)
        self.degrees, self.share, self.of_cameras = degrees, share, of_cameras
        self.windows = 0

    def predict(self, grid):
        answer = super().predict(grid)
        self.windows += 1
        rng = np.random.default_rng(self.windows)
        poses = answer.world_from_camera.copy()
        depth = float(answer.depth.nanmedian())
        for time in range(poses.shape[1]):
            if time != grid.reference[1]:
                off = rng.normal(size=3) * self.share * depth
                centre = np.nanmean(poses[:, time, :3, 3], axis=0)
                about = transform(np.eye(3), centre)
                wrong = about @ transform(turned_by(rng, self.degrees), off) @ invert(about)
                poses[:, time] = wrong @ poses[:, time]
            for view in range(len(poses)):
                poses[view, time, :3, :3] @= turned_by(rng, self.of_cameras)
        return replace(answer, world_from_camera=poses)


def worst(update, recording, start):
    """Largest error of the newest poses: metres, degrees."""
    errors = []
    for name, camera in update.cameras.items():
        truth = invert(start) @ recording.world_from_camera(name, camera.frame.stamp)
        off = invert(truth) @ camera.world_from_camera
        errors.append((np.linalg.norm(off[:3, 3]), np.degrees(rotation_angle(off[:3, :3]))))
    return np.max(errors, axis=0)


def base_at_start(recording, drive):
    return recording.world_from_base(recording.stamps(drive.cameras[0])[0])


def test_a_rig_is_where_depth_and_flow_lead_however_wrong_the_head_is(recording):
    by_head = Drive(recording, WrongHead(recording), pose='head').run(range(6), POSES)
    drive = Drive(recording, WrongHead(recording), pose='solved')
    start = base_at_start(recording, drive)
    metres, degrees = worst(by_head[-1], recording, start)
    assert metres > 0.1 and degrees > 1.0
    assert by_head[-1].pose_source.source == 'head'
    first, *updates = drive.run(range(6), POSES)
    assert first.pose_source.source == 'head'
    assert 'no slice before' in first.pose_source.reason
    for update in updates:
        assert (update.pose_source.source, update.pose_source.reason) == ('solved', '')
        metres, degrees = worst(update, recording, start)
        assert metres < 0.005 and degrees < 0.05


def test_cameras_of_a_rig_keep_its_shape_though_each_is_predicted_askew(recording):
    drive = Drive(recording, WrongHead(recording, of_cameras=2.0), pose='solved')
    update = drive.run(range(5), POSES)[-1]
    assert update.pose_source.source == 'solved'
    base = update.world_from_base
    for name, camera in update.cameras.items():
        known = recording.cameras[name].base_from_camera
        np.testing.assert_allclose(invert(base) @ camera.world_from_camera, known, atol=1e-9)
    # The rig's first pose and its scale are the head's; the motion since then is not.
    moved = invert(recording.world_from_base(recording.stamps(drive.cameras[0])[0]))
    moved = moved @ recording.world_from_base(update.slice.stamp)
    assert np.degrees(rotation_angle(base[:3, :3].T @ moved[:3, :3])) < 0.1


def test_one_camera_alone(recording):
    """Without a rig there is no metre, but the motion is right up to one unit of length."""
    name = next(iter(recording.cameras))
    alone = Rig({name: without_rig(recording).cameras[name]})
    drive = Drive(recording, WrongHead(recording), pose='solved', allow_unscaled=True)
    others = tuple(recording.cameras)[1:]
    updates = [drive.step(k, POSES, others, alone) for k in range(6)]
    stamps = recording.stamps(name)
    start = invert(recording.world_from_camera(name, stamps[0]))
    moved = [start @ recording.world_from_camera(name, stamp) for stamp in stamps[:6]]
    found = [update.cameras[name].world_from_camera for update in updates]
    for a, b in zip(found, moved):
        assert np.degrees(rotation_angle(a[:3, :3].T @ b[:3, :3])) < 0.05
    pairs = list(zip(found, moved))[1:]
    unit = [np.linalg.norm(b[:3, 3]) / np.linalg.norm(a[:3, 3]) for a, b in pairs]
    np.testing.assert_allclose(unit, unit[0], rtol=0.02)


def test_cameras_without_known_places_are_solved_one_by_one(recording):
    head = WrongHead(recording, degrees=0, share=0, of_cameras=2.0)
    drive = Drive(recording, head, pose='solved', allow_unscaled=True)
    first, *_, last = drive.run(range(5), POSES, rig=without_rig(recording))
    assert last.pose_source.source == 'solved'
    for name, camera in last.cameras.items():
        stamps = recording.stamps(name)
        true = invert(recording.world_from_camera(name, stamps[0]))
        true = true @ recording.world_from_camera(name, stamps[4])
        found = invert(first.cameras[name].world_from_camera) @ camera.world_from_camera
        assert np.degrees(rotation_angle(found[:3, :3].T @ true[:3, :3])) < 0.1


def test_cameras_come_and_go(recording):
    drive = Drive(recording, WrongHead(recording), pose='solved')
    start = base_at_start(recording, drive)
    first, second, third, fourth = drive.cameras
    gone = [(), (second,), (), (first, fourth), (third,), (), ()]
    for k, missing in enumerate(gone):
        update = drive.step(k, POSES, missing)
        assert set(update.cameras) == set(drive.cameras) - set(missing)
        metres, degrees = worst(update, recording, start)
        assert metres < 0.005 and degrees < 0.05
        assert (update.pose_source.source == 'solved') == (k > 0)


def test_no_camera_in_two_slices_running_leaves_the_predicted_pose(recording):
    drive = Drive(recording, WrongHead(recording, degrees=0, share=0), pose='solved')
    first, *others = drive.cameras
    drive.run(range(2), POSES)
    drive.step(2, POSES, missing=others)
    update = drive.step(3, POSES, missing=[first])
    assert update.pose_source.source == 'head'
    assert update.pose_source.reason == 'no camera saw both slices'
    check_poses(update, recording, recording.stamps(first)[0])


class Crowd(WrongHead):
    """Half of every image moves along with something else; the masks know of `known` of it."""

    def __init__(self, recording, half=0.5, known=1.0):
        super().__init__(recording)
        self.half, self.known = half, known

    def predict(self, grid):
        answer = super().predict(grid)
        width = answer.depth.shape[-1]
        there, back = answer.flow_forward.clone(), answer.flow_backward.clone()
        crowd = slice(0, int(self.half * width))
        there[..., crowd] += 4.0
        back[..., crowd] -= 4.0
        mask = answer.mask_logits.nan_to_num(-MOVING)
        mask[..., : int(self.half * self.known * width)] = MOVING
        return replace(answer, flow_forward=there, flow_backward=back, mask_logits=mask)


@pytest.mark.parametrize('half, known', [(0.6, 1.0), (0.5, 0.6), (0.25, 0.0)])
def test_movers_over_half_of_the_image(recording, half, known):
    drive = Drive(recording, Crowd(recording, half, known), pose='solved')
    start = base_at_start(recording, drive)
    update = drive.run(range(4), POSES)[-1]
    assert update.pose_source.source == 'solved'
    metres, degrees = worst(update, recording, start)
    assert metres < 0.02 and degrees < 0.2


class Bare(WrongHead):
    def predict(self, grid):
        return replace(super().predict(grid), flow_forward=None, flow_backward=None)


class Blind(WrongHead):
    def predict(self, grid):
        answer = super().predict(grid)
        nothing = torch.full_like(answer.flow_forward, torch.nan)
        return replace(answer, flow_forward=nothing, flow_backward=nothing)


@pytest.mark.parametrize(
    'predictor, why', [(Bare, 'these weights give no flow'), (Blind, '0 pixels agree')]
)
def test_what_cannot_be_solved_is_the_heads_and_said(recording, predictor, why):
    runs = [
        Drive(recording, predictor(recording), pose=pose).run(range(3), POSES)
        for pose in ('head', 'solved')
    ]
    for by_head, update in zip(*runs):
        np.testing.assert_allclose(update.world_from_base, by_head.world_from_base, atol=1e-9)
        np.testing.assert_allclose(update.covariance, by_head.covariance, atol=1e-12)
    assert runs[1][-1].pose_source.source == 'head'
    assert why in runs[1][-1].pose_source.reason


def test_a_room_in_which_cameras_stand_still_is_not_solved(recording):
    room = {
        name: replace(camera, base_from_camera=recording.world_from_camera(name, stamp))
        for name, camera in recording.cameras.items()
        for stamp in recording.stamps(name)[:1]
    }
    drive = Drive(recording, WrongHead(recording), pose='solved')
    update = drive.run(range(2), POSES, rig=Rig(room, fixed=True))[-1]
    assert update.pose_source.source == 'fixed'


class Noisy(TruthPredictor):
    """Depth 10 % and flow half a pixel off, smoothly; poses are the truth's."""

    def __init__(self, recording, seed):
        super().__init__(recording, seed)
        self.rng = np.random.default_rng(seed)

    def predict(self, grid):
        answer = super().predict(grid)
        v, t, h, w = answer.depth.shape
        rough = torch.from_numpy(self.rng.normal(size=(v * t, 5, 6, 8))).float()
        smooth = torch.nn.functional.interpolate(rough, (h, w), mode='bicubic')
        depth, *flow = smooth.unflatten(0, (v, t)).split([1, 2, 2], dim=2)
        return replace(
            answer,
            depth=answer.depth * (0.1 * depth[:, :, 0]).exp(),
            flow_forward=answer.flow_forward + 0.5 * flow[0],
            flow_backward=answer.flow_backward + 0.5 * flow[1],
        )


def test_the_covariance_says_how_far_the_poses_are_off(recording):
    normalised = []
    for seed in range(3):
        drive = Drive(recording, Noisy(recording, seed), pose='solved')
        start = invert(base_at_start(recording, drive))
        for update in drive.run(range(5), POSES)[1:]:
            truth = start @ recording.world_from_base(update.slice.stamp)
            turn = update.world_from_base[:3, :3] @ truth[:3, :3].T
            around = [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
            off = np.append(update.world_from_base[:3, 3] - truth[:3, 3], np.divide(around, 2))
            assert np.linalg.eigvalsh(update.covariance)[0] > 0
            normalised.append(off @ np.linalg.solve(update.covariance, off) / 6)
    assert 0.3 < np.median(normalised) < 3


class Askew(WrongHead):
    """Cameras predicted a little off their places, which leaves doubt about the scale."""

    def predict(self, grid):
        answer = super().predict(grid)
        poses = answer.world_from_camera.copy()
        rng = np.random.default_rng(self.windows)
        poses[..., :3, 3] += 0.01 * rng.normal(size=poses[..., :3, 3].shape)
        return replace(answer, world_from_camera=poses)


def test_a_doubtful_scale_is_a_doubtful_length_of_the_motion(recording):
    update = Drive(recording, Askew(recording), pose='solved').run(range(2), POSES)[-1]
    assert (update.pose_source.source, update.scale.source) == ('solved', 'rig')
    position = update.world_from_base[:3, 3]
    length = np.linalg.norm(position)
    along = position @ update.covariance[:3, :3] @ position / length**2
    assert update.scale.spread > 1e-3
    assert 1 <= np.sqrt(along) / (update.scale.spread * length) < 1.2


class OneWay(WrongHead):
    """Knows the flow in one direction only."""

    def __init__(self, recording, unknown):
        super().__init__(recording)
        self.unknown = unknown

    def predict(self, grid):
        answer = super().predict(grid)
        nothing = torch.full_like(getattr(answer, self.unknown), torch.nan)
        return replace(answer, **{self.unknown: nothing})


@pytest.mark.parametrize('unknown', ['flow_forward', 'flow_backward'])
def test_the_places_of_cameras_on_the_base_may_change(recording, unknown):
    """A head that turns on its base: TF tells its place anew for every slice."""
    drive = Drive(recording, OneWay(recording, unknown), pose='solved')
    rng = np.random.default_rng(4)
    head_from_base = [np.eye(4)]
    head_from_base += [transform(turned_by(rng, 5.0), rng.normal(size=3) / 10) for _ in range(3)]
    for k, turned in enumerate(head_from_base):
        cameras = {
            name: replace(camera, base_from_camera=invert(turned) @ camera.base_from_camera)
            for name, camera in recording.cameras.items()
        }
        update = drive.step(k, POSES, rig=Rig(cameras))
        stamp = update.slice.stamp
        truth = invert(base_at_start(recording, drive)) @ recording.world_from_base(stamp) @ turned
        np.testing.assert_allclose(update.world_from_base, truth, atol=5e-3)
        assert (update.pose_source.source == 'solved') == (k > 0)


def test_a_world_that_begins_anew_does_not_go_on_from_the_old_one(recording):
    drive = Drive(recording, WrongHead(recording), pose='solved', allow_unscaled=True)
    drive.run(range(2), POSES, rig=without_rig(recording))
    update = drive.step(2, POSES)
    assert 'metres from here on' in update.world_reset
    assert update.pose_source.reason == 'the world begins here'
    np.testing.assert_allclose(update.world_from_base, np.eye(4), atol=1e-9)
    update = drive.step(3, POSES)
    assert update.pose_source.source == 'solved'
    was, now = (recording.world_from_base(recording.stamps(drive.cameras[0])[k]) for k in (2, 3))
    np.testing.assert_allclose(update.world_from_base, invert(was) @ now, atol=5e-3)


class OtherFocal(WrongHead):
    """Believes in a longer focal length, and its depths follow."""

    def predict(self, grid):
        answer = super().predict(grid)
        intrinsics = answer.intrinsics.copy()
        intrinsics[..., 0, 0] *= 1.3
        intrinsics[..., 1, 1] *= 1.3
        return replace(answer, depth=answer.depth * 1.3, intrinsics=intrinsics)


def test_motions_are_solved_with_the_known_focal_length(recording):
    drive = Drive(recording, OtherFocal(recording), pose='solved')
    start = base_at_start(recording, drive)
    update = drive.run(range(3), POSES)[-1]
    assert len(update.warnings) == 4
    metres, degrees = worst(update, recording, start)
    assert metres < 0.005 and degrees < 0.05


def test_what_suits_the_weights_is_the_default(recording):
    predictor = WrongHead(recording)
    predictor.info = replace(predictor.info, pose='solved')
    assert Drive(recording, predictor).run(range(2), POSES)[-1].pose_source.source == 'solved'
    with pytest.raises(ValueError, match="pose 'lidar' is not one of auto, head, solved"):
        Drive(recording, pose='lidar')


def test_clips_are_solved_camera_by_camera(recording):
    class Watched(WrongHead):
        def predict(self, grid):
            self.grid, self.answer = grid, super().predict(grid)
            return self.answer

    predictor = Watched(recording)
    drive = Drive(recording, predictor)
    missing = drive.cameras[2]
    drive.run(range(2), POSES)
    drive.step(2, POSES, missing=[missing])
    motions = solved_motions(predictor.grid, predictor.answer)
    assert motions.shape == (4, 2, 4, 4)
    assert np.isnan(motions[2, 1]).all()
    for view, time in [(0, 0), (0, 1), (2, 0)]:
        name = drive.cameras[view]
        was, now = recording.stamps(name)[time : time + 2]
        true = invert(recording.world_from_camera(name, was))
        true = true @ recording.world_from_camera(name, now)
        assert np.degrees(rotation_angle(motions[view, time][:3, :3].T @ true[:3, :3])) < 0.05
        along = motions[view, time][:3, 3] @ true[:3, 3]
        lengths = np.linalg.norm(motions[view, time][:3, 3]) * np.linalg.norm(true[:3, 3])
        assert along > 0.99 * lengths


def test_errors_of_a_pose_are_carried_over_a_motion():
    """Against poses and motions that are off by their errors, drawn many times."""
    rng = np.random.default_rng(0)
    pose = transform(nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3))
    step = transform(nearest_rotation(rng.normal(size=(3, 3))), [3.0, -1.0, 2.0])
    spreads = [1e-4 * rng.normal(size=(6, 6)) for _ in range(2)]
    covariances = [s @ s.T for s in spreads]

    def off(exact, errors):
        """Moved by errors of position and rotation along the outer axes."""
        x, y, z = errors[3:]
        turn = nearest_rotation(np.eye(3) + [[0, -z, y], [z, 0, -x], [-y, x, 0]])
        return transform(turn @ exact[:3, :3], exact[:3, 3] + errors[:3])

    drawn = []
    for _ in range(4000):
        older, motion = (off(p, s @ rng.normal(size=6)) for p, s in zip((pose, step), spreads))
        newer = older @ motion
        turn = newer[:3, :3] @ (pose @ step)[:3, :3].T
        around = [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
        drawn.append(np.append(newer[:3, 3] - (pose @ step)[:3, 3], np.divide(around, 2)))
    found = carried_on(covariances[0], pose, Motion(step, covariances[1], ''))
    size = np.sqrt(np.diag(found))
    np.testing.assert_allclose(np.cov(np.array(drawn).T) / np.outer(size, size),
                               found / np.outer(size, size), atol=0.08)  # fmt: skip

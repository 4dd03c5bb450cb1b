"""Scores of real recordings, on inputs whose answers are known, and on the recordings."""

from __future__ import annotations

from pathlib import Path

import cv2
from fourd_perception.bag.rig_videos import read_frames
from fourd_perception.evaluation import real_inputs
from fourd_perception.evaluation.baselines.clip_answers import (
    CONSTANT,
    DIS,
    MEAN_IMAGE,
    SIFT,
    ZERO_FLOW,
)
from fourd_perception.evaluation.clip_evaluation import NETWORK, SOLVED
from fourd_perception.evaluation.picture_grids import lay_pictures, Pictures
from fourd_perception.evaluation.real_rig import envelope, score_rig
from fourd_perception.evaluation.real_room import score_room
from fourd_perception.evaluation.real_video import score_video
from fourd_perception.geometry.poses import invert, transform
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import pytest
from real_miniatures import (
    flowless,
    ignore,
    panning_video,
    prediction,
    room,
    row,
    Told,
    write_room,
)
from recorded_clips import recorded_clip
from scipy.spatial.transform import Rotation
import torch

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f'the real recordings are not in {DATA}: clones do not have them'
)


# --- a video --------------------------------------------------------------------------------


def laid(frames: list[np.ndarray]) -> Pictures:
    return lay_pictures([frames], [None], np.arange(len(frames)) / 15.0, 16)


def test_the_true_flow_of_a_video_keeps_the_bars_and_none_does_not():
    video = laid(panning_video())

    def true_flow(grid: GridTensors) -> Prediction:
        frames = round((grid.stamps[0, 1] - grid.stamps[0, 0]) * 15e-9)
        return prediction(grid, flow=(-2.0 * frames, 0.0))

    table = score_video(Told(true_flow), video, ignore)
    assert not table.failures
    for stride in (1, 4):
        errors = row(table, f'photometric error, stride {stride}').values
        assert errors[NETWORK] < 1.0 < 5.0 < errors[ZERO_FLOW]
        assert errors[NETWORK] < 1.1 * errors[DIS] + 0.1
    still = score_video(Told(prediction), video, ignore)
    errors = row(still, 'photometric error, stride 1').values
    assert errors[NETWORK] == errors[ZERO_FLOW] and len(still.failures) == 2


def test_pixels_at_which_the_network_contradicts_itself_do_not_count_but_are_told():
    def half(grid: GridTensors) -> Prediction:
        found = prediction(grid, flow=(-2.0, 0.0))
        backward = found.flow_backward.clone()
        backward[..., :96, :] = 9.0
        return Prediction(**{**vars(found), 'flow_backward': backward})

    table = score_video(Told(half), laid(panning_video(5)), ignore)
    shares = row(table, 'pixels consistent, stride 1').values
    assert shares[NETWORK] == pytest.approx(50.0, abs=2.0) and shares[DIS] > 90.0
    assert not row(table, 'photometric error, stride 1').values[NETWORK] > 1.0


def test_of_weights_without_flow_a_video_tells_what_is_missing_and_what_others_reach():
    table = score_video(Told(flowless), laid(panning_video(6)), ignore)
    assert table.methods == (DIS, ZERO_FLOW)
    error = row(table, 'photometric error, stride 4')
    assert error.values[DIS] < 0.5 * error.values[ZERO_FLOW]
    assert [f.split(' (')[0] for f in table.failures] == [
        f'bedroom_video: flow: photometric error, stride {stride}: the weights give no flow'
        for stride in (1, 4)
    ]


# --- a room ---------------------------------------------------------------------------------


def number_of(grid: GridTensors, time: int) -> int:
    """Which photograph of the room a cell shows, by its pixels."""
    image = grid.images[0, time]
    sizes = [cv2.resize(i, image.shape[:0:-1]) for i in room().images]
    return int(
        np.argmin([np.abs(s / 255.0 - image.permute(1, 2, 0).numpy()).sum() for s in sizes])
    )


def test_true_depths_and_poses_of_a_room_are_without_error_and_a_constant_is_not():
    truth = room()

    def known(grid: GridTensors) -> Prediction:
        numbers = [number_of(grid, t) for t in range(grid.images.shape[1])]
        height, width = grid.images.shape[3:]
        depth = [cv2.resize(3.0 * truth.depth[n], (width, height)) for n in numbers]
        poses = truth.world_from_camera[numbers]
        return prediction(
            grid,
            torch.from_numpy(np.stack(depth))[None],
            world_from_camera=(invert(poses[0]) @ poses)[None],
        )

    table, depths = score_room(Told(known), truth, ignore)
    assert depths.shape == truth.depth.shape
    errors = row(table, 'AbsRel, each image scaled by its median').values
    assert errors[NETWORK] < 0.02 < 0.2 < errors[CONSTANT]
    assert row(table, 'rotation of pair 0-2').values[NETWORK] < 1e-3
    assert row(table, 'direction of pair 0-2').values[NETWORK] < 1e-3
    assert row(table, 'rotation of pair 0-2').values[SIFT] < 2.0
    flat, _ = score_room(Told(prediction), truth, ignore)
    assert row(flat, 'AbsRel, each image scaled by its median').values[NETWORK] == pytest.approx(
        errors[CONSTANT]
    )


def test_photographs_are_compared_at_the_ratio_of_their_medians():
    truth = room()

    def mirrored(grid: GridTensors) -> Prediction:
        numbers = [number_of(grid, t) for t in range(grid.images.shape[1])]
        size = grid.images.shape[:2:-1]
        depth = [cv2.resize(truth.depth[n][:, ::-1].copy(), size) for n in numbers]
        return prediction(grid, torch.from_numpy(np.stack(depth))[None])

    table, depths = score_room(Told(mirrored), truth, ignore)
    expected = []
    for found, depth in zip(depths, truth.depth):
        p, g = found[depth > 0], depth[depth > 0]
        expected.append(np.mean(np.abs(p * np.median(g) / np.median(p) - g) / g))
    errors = row(table, 'AbsRel, each image scaled by its median').values
    assert errors[NETWORK] == pytest.approx(np.mean(expected))


# --- a rig that stands still ----------------------------------------------------------------


def standing_rig() -> tuple[Pictures, np.ndarray, torch.Tensor]:
    """Seven equal instants of three cameras; their poses, and depths [3, H, W]."""
    clip = recorded_clip('room', views=3, times=1)
    images = clip.images[0, :, 0].permute(0, 2, 3, 1).contiguous().numpy()
    frames = [[image] * 7 for image in images]
    intrinsics = list(clip.intrinsics[0, :, 0].double().numpy())
    rig = lay_pictures(frames, intrinsics, np.arange(7) / 15.0, 16)
    depth = [cv2.resize(d, rig.images.shape[3:1:-1]) for d in clip.depth[0, :, 0].numpy()]
    return rig, clip.world_from_camera[0, :, 0].double().numpy(), torch.from_numpy(np.stack(depth))


def test_what_stands_still_keeps_every_bar_and_its_depths_agree():
    rig, poses, depth = standing_rig()

    def still(grid: GridTensors) -> Prediction:
        gauge = np.repeat((invert(poses[0]) @ poses)[:, None], 4, axis=1)
        return prediction(grid, depth[:, None], (0.1, 0.0), gauge, torch.tensor(0.0))

    table, answer, start = score_rig(Told(still), rig, poses, ignore)
    assert not table.failures and start == 3
    assert row(table, 'rotation jitter').values[NETWORK] < 1e-4
    assert row(table, 'flow of the background, mean').values[NETWORK] == pytest.approx(0.1)
    assert row(table, 'depths of two views within 10 %').values[NETWORK] > 65.0
    assert answer.depth.shape == (3, 4, *rig.images.shape[2:4])


def test_of_weights_without_flow_and_masks_a_rig_tells_what_is_missing():
    rig, poses, _ = standing_rig()
    table, _, _ = score_rig(Told(flowless), rig, poses, ignore)
    assert [f.partition(': ')[2].split(' (')[0] for f in table.failures] == [
        'nothing moves but people: flow of the background, mean: the weights give no flow',
        'nothing moves but people: dynamic pixels of the background: the weights give no masks',
    ]
    assert row(table, 'rotation jitter').judged == NETWORK


def test_jitter_drift_and_false_motion_of_known_size_are_measured_and_break_the_bars():
    rig, poses, depth = standing_rig()
    median = float(np.median(depth))

    def shaking(grid: GridTensors) -> Prediction:
        # Half a degree and 2 % of the depth to and fro.
        turned = Rotation.from_euler('y', 0.5, degrees=True).as_matrix()
        off = [np.eye(4), transform(turned, [0.02 * median, 0.0, 0.0])]
        shaken = np.stack([np.stack([pose @ off[t % 2] for t in range(4)]) for pose in poses])
        moving = torch.zeros(depth.shape[1:])
        moving[:, : moving.shape[1] // 4] = 1.0
        return prediction(grid, depth[:, None], (0.3, 0.4), shaken, moving)

    table, _, _ = score_rig(Told(shaking), rig, poses, ignore)
    assert row(table, 'rotation jitter').values[NETWORK] == pytest.approx(0.5)
    assert row(table, 'translation jitter').values[NETWORK] == pytest.approx(2.0, rel=0.01)
    assert row(table, 'flow of the background, mean').values[NETWORK] == pytest.approx(0.5)
    assert row(table, 'dynamic pixels of the background').values[NETWORK] == pytest.approx(25.0)
    # The solved poses see the flow alone: half a pixel sideways is a turn by that much.
    turn = np.degrees(0.5 / rig.intrinsics[:, 0, 0].mean())
    assert row(table, 'rotation jitter').values[SOLVED] == pytest.approx(turn, rel=0.1)
    broken = {r.what for r in table.rows if not r.passed}
    assert broken == {
        'rotation jitter',
        'flow of the background, mean',
        'dynamic pixels of the background',
    }


def test_the_envelope_is_where_something_moves_and_a_little_more():
    images = np.full((6, 60, 80, 3), 100, np.uint8)
    images += np.random.default_rng(0).integers(0, 8, images.shape, np.uint8)
    for time in range(6):
        images[time, 20:30, 10 + 8 * time : 18 + 8 * time] = 250
    moved = envelope(images)
    assert moved[20:30, 10:58].all() and moved[17:33, 8:60].all()
    assert not moved[:15].any() and not moved[:, 63:].any()


# --- the recordings -------------------------------------------------------------------------


@needs_data
def test_the_recordings_are_read_and_classical_methods_score_what_the_docs_say():
    photographs = real_inputs.read_room(DATA / real_inputs.ROOM)
    table, _ = score_room(Told(prediction), photographs, ignore)
    depth = row(table, 'AbsRel, each image scaled by its median')
    assert depth.values[CONSTANT] == pytest.approx(0.359, abs=5e-4) and not depth.passed
    assert depth.values[MEAN_IMAGE] == pytest.approx(0.349, abs=5e-4)
    for pair in ('0-1', '0-2', '1-2'):
        assert row(table, f'rotation of pair {pair}').values[SIFT] < 0.5
    frames = real_inputs.read_video(DATA / real_inputs.VIDEO)
    assert len(frames) == 40
    video = lay_pictures([frames[:8]], [None], np.arange(8) / real_inputs.VIDEO_RATE, 16)
    assert video.images.shape == (1, 8, 160, 288, 3)
    errors = row(score_video(Told(prediction), video, ignore), 'photometric error, stride 1')
    assert errors.values[DIS] < 0.6 * errors.values[ZERO_FLOW]


@needs_data
def test_the_videos_of_the_rig_are_rectified_and_laid_into_portrait_images():
    frames = read_frames(DATA / real_inputs.RIG / 'rig.yaml', 320, 33)
    assert [len(view) for view in frames.images] == [4] * 4
    assert frames.seconds == pytest.approx([0.0, 0.55, 1.1, 1.65])
    known = [camera.intrinsics for camera in frames.cameras]
    rig = lay_pictures(frames.images, known, frames.seconds, 16)
    assert rig.images.shape == (4, 4, 288, 160, 3)
    still = [~envelope(view) for view in rig.images]
    assert all(0.4 < background.mean() < 0.95 for background in still)


# --- folders that hold less than they should ------------------------------------------------


def test_what_lacks_frames_or_photographs_is_named(tmp_path):
    with pytest.raises(ValueError, match='0 frames'):
        real_inputs.read_video(tmp_path)
    write_room(tmp_path / 'room', photographs=2)
    with pytest.raises(ValueError, match='2 photographs; the pairs .* first 3'):
        real_inputs.read_room(tmp_path / 'room')

"""Every baseline does its job where that is easy: else it would flatter the networks."""

from __future__ import annotations

import cv2
from fourd_perception.evaluation.baselines import mean_depth as mean_depth_module
from fourd_perception.evaluation.baselines.clip_answers import (
    baseline_answers,
    CONSTANT,
    DIS,
    HOMOGRAPHY,
    KLT,
    MEAN_IMAGE,
    SIFT,
    ZERO_FLOW,
)
from fourd_perception.evaluation.baselines.dis_flow import dis_flow
from fourd_perception.evaluation.baselines.essential_pose import (
    essential_pose,
    matched_features,
    tracked_corners,
)
from fourd_perception.evaluation.baselines.homography_mask import (
    homography_mask,
    homography_residual,
)
from fourd_perception.evaluation.baselines.mean_depth import mean_depth, mean_log_depth, SIZE
from fourd_perception.evaluation.clip_scores import pooled, score_answer
from fourd_perception.evaluation.metrics import mask_iou
from fourd_perception.evaluation.pose_pairs import pair_errors, relative_poses
from fourd_perception.geometry.clips import unlabelled
from fourd_perception.synthetic.recording import make_recording
import numpy as np
import pytest
from recorded_clips import recorded_clip
import torch

HEIGHT, WIDTH = 96, 128
INTRINSICS = np.array([[110.0, 0.0, 63.5], [0.0, 110.0, 47.5], [0.0, 0.0, 1.0]])
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    return cv2.normalize(cv2.GaussianBlur(noise, None, 1.5), None, 0, 255, cv2.NORM_MINMAX)


def cut(canvas: np.ndarray, x: float, y: float) -> np.ndarray:
    middle = x + (WIDTH - 1) / 2, y + (HEIGHT - 1) / 2
    return cv2.getRectSubPix(canvas.astype(np.float32), (WIDTH, HEIGHT), middle).astype(np.uint8)


@pytest.mark.parametrize('motion', [(0.4, -0.3), (3.25, 1.5), (-9.0, 4.0)])
def test_dis_finds_the_motion_of_a_textured_image(motion):
    canvas = texture(200, 220)
    first, second = cut(canvas, 40, 50), cut(canvas, 40 - motion[0], 50 - motion[1])
    error = np.linalg.norm(dis_flow(first, second) - motion, axis=-1)
    assert np.median(error) < 0.1 and error[16:-16, 16:-16].mean() < 0.2


def test_dis_searches_down_to_single_pixels():
    background, patch = cut(texture(200, 220), 40, 50), cut(texture(200, 220, 3), 20, 20)
    first, second = background.copy(), background.copy()
    first[40:56, 50:66], second[40:56, 53:69] = patch[40:56, 50:66], patch[40:56, 50:66]
    error = np.linalg.norm(dis_flow(first, second)[40:56, 50:66] - [3.0, 0.0], axis=-1)
    assert error.mean() < 0.6  # 1.4 where the search ends one scale before


def test_dis_says_what_it_cannot_search():
    with pytest.raises(ValueError, match='32 px or more'):
        dis_flow(np.zeros((16, 64, 3), np.uint8), np.zeros((16, 64, 3), np.uint8))


def zooming_flow() -> np.ndarray:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([0.02 * (x - 60) + 1.0, 0.02 * (y - 40) - 0.5], axis=-1).astype(np.float32)


def test_what_moves_against_a_homography_is_found_and_nothing_in_the_homography_itself():
    flow = zooming_flow()
    assert homography_residual(flow).max() < 0.05
    mover = np.zeros((HEIGHT, WIDTH), bool)
    mover[30:60, 50:80] = True
    flow[mover] += [4.0, -2.0]
    assert mask_iou(homography_mask(flow), mover, EVERYWHERE) > 0.95
    assert not homography_mask(np.zeros_like(flow)).any()


@pytest.mark.parametrize(
    ('match', 'later', 'within'), [(tracked_corners, 2, 2.0), (matched_features, 6, 6.0)]
)
def test_the_pose_between_two_images_of_a_street_is_found(match, later, within):
    recording = make_recording('street', 1, 2.0, 10.0, 3)
    (name, camera), stamps = next(iter(recording.cameras.items())), (4, 4 + later)
    images, poses = [], []
    for number in stamps:
        stamp = recording.stamps(name)[number]
        images.append(recording.image(name, stamp))
        poses.append(recording.world_from_camera(name, stamp))
    pose = essential_pose(*images, camera.intrinsics, camera.intrinsics, match)
    assert pose is not None
    rotation, direction = pair_errors(pose[None], relative_poses(np.stack(poses)))[0]
    assert rotation < 0.5 and direction < within


@pytest.mark.parametrize('match', [tracked_corners, matched_features])
def test_no_pose_is_made_up_of_images_that_show_nothing(match):
    grey = np.full((HEIGHT, WIDTH, 3), 99, np.uint8)
    assert essential_pose(grey, grey, INTRINSICS, INTRINSICS, match) is None


def test_the_mean_of_images_of_one_layout_is_that_layout_whatever_their_scale():
    ground = torch.linspace(2.0, -1.0, SIZE[0])[:, None].expand(SIZE)
    clip = unlabelled(torch.zeros(60, 1, 1, 3, *SIZE, dtype=torch.uint8))
    scales = torch.linspace(-3, 3, 60)[:, None, None, None, None]
    clip.depth.copy_((ground + scales).exp())
    clip.depth[..., :5, :] = torch.nan  # a sky takes what is below it
    clip.depth[:5, ..., 7] = torch.nan  # a place that is known in most images
    mean = mean_log_depth([clip[:30], clip[30:]]).astype(float)
    known = ground[5:].numpy() - ground[5:].mean().item()
    np.testing.assert_allclose(mean[5:], known, atol=2e-3)
    np.testing.assert_allclose(mean[:5], np.broadcast_to(mean[5], (5, SIZE[1])))


def test_the_mean_image_that_ships_knows_that_the_ground_is_near_and_ahead_is_far():
    image = mean_depth((96, 128))
    assert image.shape == (96, 128)
    assert image[-8:].mean() < 0.8 * image[40:56].mean()


def test_baselines_on_recordings_do_what_each_is_for():
    found: dict[str, list] = {}
    for kind, seed in (('room', 0), ('street', 0), ('street', 1)):
        clip = recorded_clip(kind, times=3, seed=seed)
        for method, answer in baseline_answers(clip).items():
            found.setdefault(method, []).append(score_answer(answer, clip))
    values = {method: pooled(scores).values for method, scores in found.items()}
    assert values[DIS]['epe_1_4'] < 0.3 < 1.5 < values[ZERO_FLOW]['epe_1_4']
    assert values[HOMOGRAPHY]['iou'] > 0.3
    for method in (KLT, SIFT):
        assert values[method]['rotation'] < 1.0 and values[method]['direction'] < 20.0
    assert values[MEAN_IMAGE]['abs_rel'] < values[CONSTANT]['abs_rel']


def test_baselines_leave_out_cells_that_are_absent():
    clip = recorded_clip(times=3)
    clip = type(clip)(**{**vars(clip), 'present': torch.tensor([[[True, True, False]]])})
    answers = baseline_answers(clip)
    flow = answers[DIS].flow_forward
    assert flow[0, 0].any() and not flow[0, 1].any()
    assert answers[HOMOGRAPHY].dynamic[0, 1].any() and not answers[HOMOGRAPHY].dynamic[0, 2].any()


def test_the_command_draws_images_that_trainings_may_draw(monkeypatch):
    monkeypatch.setattr(mean_depth_module, 'CLIPS', 2)
    monkeypatch.setattr(mean_depth_module, 'BATCH', 2)
    drawn = list(mean_depth_module.training_images())
    assert [len(clips) for clips in drawn] == [2]
    assert drawn[0].depth.isfinite().any()

"""Scores of clips: errors known by construction, a loop over pixels, and what does not count."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.evaluation.clip_scores import (
    Answer,
    FLOW_BINS,
    flow_metric,
    pooled,
    score_answer,
)
from fourd_perception.evaluation.examples import truth_of
from fourd_perception.evaluation.pose_pairs import relative_poses
from fourd_perception.geometry.clips import Clips, DYNAMIC, IGNORED, STATIC, unlabelled, VISIBLE
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
from recorded_clips import recorded_clip
import torch


def true_answer(clip: Clips) -> Answer:
    answer = truth_of(clip)
    assert answer.depth is not None and answer.flow_forward is not None
    return replace(
        answer,
        depth=np.nan_to_num(answer.depth, nan=9.0),
        flow_forward=np.nan_to_num(answer.flow_forward),
        newer_from_older=relative_poses(clip.world_from_camera[0].double().numpy()),
    )


def test_the_truth_in_another_scale_is_without_error():
    clip = recorded_clip('street', views=2)
    answer = true_answer(clip)
    values = score_answer(replace(answer, depth=7.0 * answer.depth), clip).values
    assert values['abs_rel'] < 1e-6 and values['delta'] == 1.0
    assert max(v for name, v in values.items() if name.startswith('epe')) < 1e-5
    assert values['iou'] == 1.0
    assert values['rotation'] < 1e-3 and values['direction'] < 1e-3 and values['auc_30'] > 99.9


def test_one_scale_aligns_the_whole_window():
    clip = recorded_clip(times=2)
    answer = true_answer(clip)
    depth = answer.depth.copy()
    depth[0, 1] *= 1.1  # the second image is a tenth too far: no one scale suits both
    assert 0.04 < score_answer(replace(answer, depth=depth), clip).values['abs_rel'] < 0.06


def test_flow_that_is_off_by_3_and_4_is_5_off_in_every_bin():
    clip = recorded_clip('street', views=2)
    flow = true_answer(clip).flow_forward + np.array([3.0, 4.0], np.float32)[:, None, None]
    values = score_answer(Answer(flow_forward=flow), clip).values
    bins = [v for name, v in values.items() if name.startswith('epe')]
    assert len(bins) == 2 * len(FLOW_BINS)
    assert bins == pytest.approx([5.0] * len(bins), abs=1e-4)


@given(
    arrays(np.float32, (2, 2, 4, 5), elements=st.floats(-20, 20, width=16)),
    arrays(np.float32, (2, 4, 5), elements=st.floats(-20, 20, width=16) | st.just(np.nan)),
    arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 255])),
)
def test_flow_bins_equal_a_loop_over_pixels(predicted, truth, occluded):
    clip = unlabelled(torch.zeros(1, 1, 2, 3, 4, 5, dtype=torch.uint8))
    clip.flow_forward[0, 0, 0] = torch.from_numpy(truth)
    clip.occluded_forward[0, 0, 0] = torch.from_numpy(occluded)
    values = score_answer(Answer(flow_forward=predicted[None]), clip).values
    for low, high in FLOW_BINS:
        for visible in (False, True):
            errors = [
                np.hypot(*(predicted[0, :, y, x].astype(float) - truth[:, y, x]))
                for y in range(4)
                for x in range(5)
                if low <= np.hypot(*truth[:, y, x].astype(float)) < high
                and (occluded[y, x] == VISIBLE or not visible)
            ]
            name = flow_metric(low, high, visible)
            assert (name in values) == bool(errors)
            if errors:
                assert values[name] == pytest.approx(np.mean(errors), abs=1e-5)


def labelled(labels: np.ndarray) -> Clips:
    times, height, width = labels.shape
    clip = unlabelled(torch.zeros(1, 1, times, 3, height, width, dtype=torch.uint8))
    return replace(clip, dynamic=torch.from_numpy(labels)[None, None])


def test_masks_are_judged_by_overlap_where_something_moves_and_by_false_alarms_elsewhere():
    labels = np.full((3, 10, 10), STATIC, np.uint8)
    labels[0, :4, :5] = DYNAMIC
    labels[0, 4, :5] = IGNORED
    labels[2] = IGNORED
    found = np.zeros((1, 3, 10, 10), bool)
    found[0, 0, 2:6, :5] = True  # 10 of 20 px, 5 ignored, 5 wrong
    found[0, 1, 0, :3] = True
    found[0, 2] = True
    score = score_answer(Answer(dynamic=found), labelled(labels))
    assert score.values['iou'] == pytest.approx(10 / 25)
    assert score.values['false_positive'] == pytest.approx(3 / 100)
    assert (score.count('iou'), score.count('false_positive')) == (1, 100)


def test_an_image_in_which_hardly_anything_moves_is_judged_neither_way():
    labels = np.full((1, 60, 60), STATIC, np.uint8)
    labels[0, 0, :3] = DYNAMIC
    assert (
        score_answer(Answer(dynamic=np.ones((1, 1, 60, 60), bool)), labelled(labels)).values == {}
    )


def test_a_camera_that_hardly_moves_has_no_direction_to_be_judged():
    clip = recorded_clip(times=3)
    still = clip.world_from_camera.clone()
    still[0, 0, 1] = still[0, 0, 0]
    answer = Answer(newer_from_older=np.full((1, 2, 4, 4), np.nan))
    assert score_answer(answer, replace(clip, world_from_camera=still)).count('rotation') == 1
    near = replace(clip, depth=1000 * clip.depth)
    assert 'rotation' not in score_answer(answer, near).values


def test_absent_cells_count_for_nothing():
    clip = recorded_clip('street', views=2)
    present = clip.present.clone()
    present[0, 1, 1] = False
    score = score_answer(true_answer(clip), replace(clip, present=present))
    whole = score_answer(true_answer(clip), clip)
    pixels = np.isfinite(clip.depth[0, 1, 1].numpy()).sum()
    assert score.count('abs_rel') == whole.count('abs_rel') - pixels
    assert len(score.pairs) == 2 and len(whole.pairs) == 4
    bins = [flow_metric(*edges) for edges in FLOW_BINS]
    assert sum(map(score.count, bins)) < 0.6 * sum(map(whole.count, bins))


def test_scores_of_two_clips_together_weigh_every_pixel_and_pair_alike():
    clips = recorded_clip(times=2), recorded_clip('street', times=3)
    answers = [Answer(depth=np.ones(c.depth[0].shape), newer_from_older=None) for c in clips]
    parts = [score_answer(a, c) for a, c in zip(answers, clips)]
    both = pooled(parts)
    counts = [part.count('abs_rel') for part in parts]
    expected = np.average([part.values['abs_rel'] for part in parts], weights=counts)
    assert both.values['abs_rel'] == pytest.approx(expected)
    assert both.count('abs_rel') == sum(counts)
    assert 'rotation' not in both.values

"""From clips through the interface of all predictors to scores."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.engine.predictors import load_predictor
from fourd_perception.evaluation.clip_evaluation import evaluate_clips
from fourd_perception.evaluation.clip_grids import clip_grid
from fourd_perception.geometry.clips import joined
import numpy as np
import pytest
from recorded_clips import ClipPredictor, HEIGHT, recorded_clip, WIDTH
import torch


def test_the_truth_in_a_network_s_own_gauge_is_without_error():
    clip = recorded_clip('street', views=2)
    found = evaluate_clips(ClipPredictor(clip), clip)
    assert found['abs_rel'] < 1e-5 and found['delta'] == 1.0
    assert found['epe_1_4'] < 1e-4 and found['iou'] == 1.0
    assert found['rotation'] < 1e-3 and found['direction'] < 1e-3


def test_poses_are_solved_from_depth_and_flow_where_the_head_is_wrong():
    clip = recorded_clip('street', views=2)
    found = evaluate_clips(ClipPredictor(clip, turn=2.0), clip)
    assert found['rotation'] == pytest.approx(2.0, abs=0.01)
    assert found['solved_rotation'] < 0.05 and found['solved_direction'] < 1.0
    assert found['solved_auc_30'] > 95.0


def test_depths_for_other_focal_lengths_are_brought_to_the_known_ones():
    clip = recorded_clip('street', views=2)
    assert evaluate_clips(ClipPredictor(clip, focal=(1.4, 0.8)), clip)['abs_rel'] < 1e-5


def test_flow_that_is_off_is_off_by_that_much():
    clip = recorded_clip()
    found = evaluate_clips(ClipPredictor(clip, shift=(0.6, -0.8)), clip)
    assert found['epe_0_1'] == pytest.approx(1.0, abs=1e-4)


def test_a_grid_holds_the_clip_as_networks_are_told_of_it():
    clip = recorded_clip('street', views=2)
    present = clip.present.clone()
    present[0, 0, 0] = False
    grid = clip_grid(replace(clip, present=present))
    assert grid.images.shape == (2, 3, 3, HEIGHT, WIDTH)
    assert not grid.images[0, 0].any() and grid.images.max() <= 1.0
    torch.testing.assert_close(grid.images[1, 2] * 255, clip.images[0, 1, 2].float())
    assert grid.reference == (0, 1) and grid.stamps[0, 0] == -1
    np.testing.assert_allclose(np.diff(grid.stamps[1]), 1e8, atol=2e3)
    np.testing.assert_allclose(grid.intrinsics, clip.intrinsics[0, :, 0].numpy())


def test_clips_that_are_no_grids_are_refused_with_the_reason():
    clip = recorded_clip()
    with pytest.raises(ValueError, match='without seconds'):
        clip_grid(replace(clip, seconds=clip.seconds * torch.nan))
    zoom = clip.intrinsics.clone()
    zoom[0, 0, 1, 0, 0] *= 1.1
    with pytest.raises(ValueError, match='zooms'):
        clip_grid(replace(clip, intrinsics=zoom))


def test_networks_are_evaluated_on_many_clips_as_training_does():
    clips = joined([recorded_clip(times=2), recorded_clip('street', times=2)])
    network = load_predictor('untrained:fourd-small:0')
    found = evaluate_clips(network, clips)
    assert {'abs_rel', 'epe_1_4', 'rotation', 'solved_rotation', 'iou'} <= set(found)
    assert all(np.isfinite(value) for value in found.values())
    # Groups, as of clips of several shapes, are pooled.
    assert found == pytest.approx(evaluate_clips(network, clips[:1], clips[1:]))

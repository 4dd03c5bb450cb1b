"""Depths of several cameras that tell of one scene, and depths that do not."""

from __future__ import annotations

from fourd_perception.evaluation import cross_view
from fourd_perception.evaluation.cross_view import best_agreement, depth_ratios
import numpy as np
import pytest
from recorded_clips import recorded_clip


def views() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Depth, usable, intrinsics and poses of the first instant of a rig."""
    clip = recorded_clip('room', views=3, times=1)
    depth = clip.depth[0, :, 0].double().numpy()
    poses = clip.world_from_camera[0, :, 0].double().numpy()
    return depth, np.isfinite(depth), clip.intrinsics[0, :, 0].double().numpy(), poses


def test_true_depths_agree_at_their_own_scale_and_in_any_other_the_scale_is_found():
    depth, usable, intrinsics, poses = views()
    off = np.abs(depth_ratios(depth, usable, intrinsics, poses) - 1)
    assert len(off) > 500 and np.median(off) < 0.005
    for scale in (1.0, 0.02, 30.0):
        apart, share, overlap = best_agreement(scale * depth, usable, intrinsics, poses)
        assert apart < 0.01 and share > 0.9 and 0.05 < overlap < 1.0


@pytest.mark.parametrize('between', [0.0, 0.3, 0.5, 0.8])
def test_true_depths_agree_as_well_whichever_scales_are_tried_first(monkeypatch, between):
    scales = cross_view.FACTORS * (cross_view.FACTORS[1] / cross_view.FACTORS[0]) ** between
    monkeypatch.setattr(cross_view, 'FACTORS', scales)
    off = np.abs(depth_ratios(*views()) - 1)
    assert best_agreement(*views())[0] < 1.02 * np.median(off)


def test_depths_of_unrelated_scenes_do_not_agree():
    depth, usable, intrinsics, poses = views()
    wrong = depth * np.random.default_rng(0).lognormal(0.0, 0.7, depth.shape)
    true_share = best_agreement(depth, usable, intrinsics, poses)[1]
    assert best_agreement(wrong, usable, intrinsics, poses)[1] < 0.5 * true_share


def test_pixels_that_are_not_usable_take_no_part():
    depth, usable, intrinsics, poses = views()
    spoilt, some = depth.copy(), usable.copy()
    spoilt[:, :, :64], some[:, :, :64] = 1e-3, False
    ratios = depth_ratios(spoilt, some, intrinsics, poses)
    assert len(ratios) and np.median(np.abs(ratios - 1)) < 0.005
    assert not len(depth_ratios(depth, np.zeros_like(usable), intrinsics, poses))


def test_cameras_that_share_nothing_are_said_to():
    depth, usable, intrinsics, poses = views()
    apart = poses[:2].copy()
    apart[1] = apart[0] @ np.diag([-1.0, 1.0, -1.0, 1.0])  # back to back
    apart[1, :3, 3] -= apart[0, :3, 2]
    found = best_agreement(depth[:2], usable[:2], intrinsics[:2], apart)
    assert found == pytest.approx((np.nan, np.nan, 0.0), nan_ok=True)

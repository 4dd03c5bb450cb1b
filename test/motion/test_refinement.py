"""Refinement takes away what other frames explain; every variant, with true and noisy depth."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.motion.outliers import radius_inliers, statistical_inliers
from fourd_perception.motion.refine_paper import (
    depth_gradient,
    residual_gradient_norm,
    score_threshold,
)
from fourd_perception.motion.refine_released import (
    candidate_labels,
    cluster_losses,
    refine_released,
    refine_robust,
)
from fourd_perception.motion.refinement_clip import RefinementClip
import numpy as np
import pytest
from refinement_table import disturbed_clip, iou, VARIANTS
import torch


@pytest.fixture(scope='module', params=[0.0, 0.05], ids=['true depth', '5 % noise'])
def room(request):
    return disturbed_clip(1, 'room', 1, request.param, instants=6)


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_refinement_raises_the_iou(room, variant):
    clip, truth = room
    before, after = iou(clip.mask, truth), iou(VARIANTS[variant](clip), truth)
    print(f'{variant}: IoU {before:.2f} -> {after:.2f}')
    assert after > before


@pytest.mark.parametrize('variant', VARIANTS)
def test_a_mover_that_several_cameras_see_at_once_is_still_found(variant):
    clip, truth = disturbed_clip(0, 'street', 2, 0.0, instants=5)
    refined = VARIANTS[variant](clip)
    assert iou(refined, truth) > iou(clip.mask, truth)
    recall = float((refined & truth).sum() / truth.sum())
    print(f'{variant}: recall {recall:.2f} with two cameras')
    assert recall > 0.6


def test_cells_of_the_same_instant_never_judge_each_other():
    clip, _ = disturbed_clip(0, 'street', 2, 0.0, instants=3)
    assert [clip.others(cell, 64) for cell in (0, 3)] == [(2, 3, 4, 5), (0, 1, 4, 5)]
    assert clip.others(0, 2) == (2, 5)
    one = replace(clip, layout=CellLayout(tuple(range(6)), (0,) * 6))
    # One instant: nobody can contradict, so everything stays dynamic.
    assert (refine_released(one) & clip.mask).sum() > 0.8 * clip.mask.sum()


def test_many_frames_are_judged_by_some():
    clip, truth = disturbed_clip(1, 'room', 1, 0.0, instants=6)
    points = clip.points()
    labels = torch.from_numpy(candidate_labels(clip, points)[2])
    few = cluster_losses(clip, points, labels, 2, most_others=3)
    every = cluster_losses(clip, points, labels, 2)
    assert few.total.shape == every.total.shape
    agree = (few.total > 0.1) == (every.total > 0.1)
    assert agree.mean() > 0.7


def plain_losses(clip, points, labels, cell):
    """Depth and colour term of every cluster, point by point and frame by frame."""
    height, width = labels.shape
    depth, images, masks = clip.depth.numpy(), clip.images.numpy(), clip.mask.numpy()
    found = {}
    for cluster in range(labels.max() + 1):
        sums, count, pairs = np.zeros(2), 0, 0
        for v, u in zip(*np.nonzero(labels == cluster)):
            for other in clip.others(cell, 64):
                pairs += 1
                pose = clip.world_from_camera[other].numpy()
                x, y, z = pose[:3, :3].T @ (points[cell, v, u].numpy() - pose[:3, 3])
                k = clip.intrinsics[other].numpy()
                a, b = x / z * k[0, 0] + k[0, 2], y / z * k[1, 1] + k[1, 2]
                if not (z > 0 and 0 < a < width and 0 < b < height):
                    continue
                # Divided by W - 1 and H - 1 as if pixels were centred at whole numbers.
                near = depth[other, min(int(round(b)), height - 1), min(int(round(a)), width - 1)]
                if round(a) >= width or round(b) >= height:
                    near = 0.0  # outside of what is sampled
                left, top = int(a), int(b)
                colour, dynamic = np.zeros(3), 0.0
                for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    share = (1 - abs(a - left - i)) * (1 - abs(b - top - j))
                    if left + i < width and top + j < height:
                        colour += share * images[other, :, top + j, left + i]
                        dynamic += share * masks[other, top + j, left + i]
                if dynamic > 0.5 or not z - 0.01 < near:
                    continue
                count += 1
                sums += abs(z - near), np.abs(images[cell, :, v, u] - colour).sum()
        found[cluster] = sums / count if count >= 0.05 * pairs and count else np.full(2, 1e10)
    return found


def test_losses_are_what_point_by_point_gives():
    clip, _ = disturbed_clip(1, 'room', 1, 0.0, instants=3)
    points = clip.points()
    labels = np.full(clip.depth.shape[1:], -1)
    labels[40:44, 60:66], labels[70:74, 20:25], labels[5:7, 100:104] = 0, 1, 2
    wanted = plain_losses(clip, points, labels, 1)
    found = cluster_losses(clip, points, torch.from_numpy(labels), 1)
    for cluster, (depth, colour) in wanted.items():
        assert found.depth[cluster] == pytest.approx(depth, rel=1e-3, abs=1e-4)
        assert found.colour[cluster] == pytest.approx(colour, rel=1e-3, abs=1e-4)


def test_the_gradient_of_the_residual_is_the_derivative():
    """r(X) = z - D(u, v) on a plane of depth, by differences of X."""
    slope, focal = np.array([0.03, -0.02]), np.array([80.0, 70.0])

    def residual(point):
        x, y, z = point
        return z - (2.0 + slope @ (focal * np.array([x, y]) / z))

    point, step = np.array([0.3, -0.2, 1.9]), 1e-6
    wanted = np.linalg.norm(
        [(residual(point + step * e) - residual(point - step * e)) / (2 * step) for e in np.eye(3)]
    )
    found = residual_gradient_norm(
        torch.from_numpy(point)[None, None],
        torch.from_numpy(slope)[None, :, None],
        torch.from_numpy(focal)[None],
    )
    assert found.item() == pytest.approx(wanted, rel=1e-6)
    v, u = np.indices((5, 6))
    plane = torch.from_numpy(2 + slope[0] * u + slope[1] * v)[None]
    inner = depth_gradient(plane)[0, :, 1:-1, 1:-1]
    np.testing.assert_allclose(inner.flatten(1).T, np.tile(slope, (12, 1)))


def test_the_threshold_of_the_paper_has_a_floor():
    assert score_threshold(np.array([1e-4, 2e-4, 5e-4, 8e-4])) == 0.02
    assert score_threshold(np.array([np.inf, np.inf])) == 0.02
    assert score_threshold(np.array([])) == 0.02
    split = score_threshold(np.array([0.01, 0.012, 0.011, 0.5, 0.6, np.inf]))
    assert 0.02 <= split < 0.5


def test_robust_weighs_by_confidence_and_needs_it():
    clip, _ = disturbed_clip(1, 'room', 1, 0.05, instants=4)
    with pytest.raises(ValueError, match='give the clip its confidence'):
        refine_robust(replace(clip, confidence=None))
    points = clip.points()
    labels = torch.from_numpy(candidate_labels(clip, points)[1])
    equal = cluster_losses(clip, points, labels, 1, torch.full_like(clip.depth, 0.3))
    np.testing.assert_allclose(equal.total, cluster_losses(clip, points, labels, 1).total)


def test_outliers_are_those_far_from_their_neighbours():
    random = np.random.default_rng(0)
    points = np.concatenate([random.normal(0, 0.1, (500, 3)), [[5.0, 5, 5]], [[-7.0, 0, 0]]])
    kept = statistical_inliers(points)
    assert kept[:500].mean() > 0.95 and not kept[500:].any()
    distance = np.sort(np.linalg.norm(points[:, None] - points, axis=-1), axis=1)[:, :20].mean(1)
    wanted = (distance > 0) & (distance < distance.mean() + 2.5 * distance.std(ddof=1))
    np.testing.assert_array_equal(kept, wanted)
    assert statistical_inliers(np.zeros((0, 3))).shape == (0,)
    assert radius_inliers(points, np.full(502, 0.3))[:500].mean() > 0.9
    assert not radius_inliers(points[:4], np.ones(4)).any()


def test_frames_without_candidates_stay_empty():
    clip, _ = disturbed_clip(1, 'room', 1, 0.0, instants=3)
    empty = replace(clip, mask=torch.zeros_like(clip.mask))
    for refine in VARIANTS.values():
        assert not refine(empty).any()
    one = torch.zeros_like(clip.mask)
    one[0, 50, 50:53] = True
    refined = refine_released(replace(clip, mask=one))
    assert not refined[1:].any()
    assert isinstance(clip, RefinementClip)

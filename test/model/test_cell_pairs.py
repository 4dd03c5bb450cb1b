"""Pairs of cells: which neighbour is whose, and what their motion and parallax tell."""

from __future__ import annotations

from dataclasses import replace
from math import log

from fourd_perception.geometry.parallax import joined_depth
from fourd_perception.model.cell_pairs import (
    CellPairs,
    other_frames,
    PairMotions,
    parallaxes,
    posed_motions,
    solved_motions,
    with_parallax,
)
from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.heads.residual_motion import residual_motion
from fourd_perception.synthetic.scenes import generate, SceneSpec
import pytest
import torch

# Cells in the order of a layout; the last one has no neighbour.
PAIRS = [(0, 1), (1, 2)]
SIGMA = 0.2


class Scene:
    """Three instants of a still scene that a hand-held camera shows, and a fourth, apart."""

    def __init__(self) -> None:
        clips = generate([43], SceneSpec((96, 128), 1, 4, 'hand_held', movers=False))
        truth = clips.depth[0, 0]
        self.depth = truth.where(truth.isfinite(), truth[truth.isfinite()].max())
        self.intrinsics, self.poses = clips.intrinsics[0, 0], clips.world_from_camera[0, 0]
        known = [clips.flow_forward[0, 0, [0, 1]], clips.flow_backward[0, 0, [1, 2]]]
        there, back = (flow.nan_to_num(0.0) for flow in known)
        scale = torch.full((2, 1, 96, 128), log(0.1))
        self.pairs = CellPairs.of(PAIRS, (there, scale), (back, scale))
        bumps = torch.randn(4, 1, 4, 5, generator=torch.Generator().manual_seed(0))
        bumps = torch.nn.functional.interpolate(bumps, self.depth.shape[1:], mode='bicubic')
        self.expected = self.depth * (SIGMA * bumps[:, 0]).exp()

    def solved(self, depth: torch.Tensor) -> PairMotions:
        start = posed_motions(self.pairs, torch.eye(4).expand(4, 4, 4))
        return solved_motions(self.pairs, depth, self.intrinsics, start)


@pytest.fixture(scope='module')
def scene() -> Scene:
    return Scene()


def test_motions_are_those_of_the_older_camera_s_axes(scene: Scene):
    true = posed_motions(scene.pairs, scene.poses).older_from_newer
    found = scene.solved(scene.depth)
    assert torch.allclose(found.older_from_newer, true, atol=2e-3)
    assert found.covariance.isfinite().all()


def test_parallax_betters_depth_and_says_nothing_of_what_moves_or_has_no_neighbour(scene: Scene):
    wrong, log_sigma = scene.expected.log(), torch.full_like(scene.depth, log(SIGMA))
    seen, _ = parallaxes(
        scene.pairs, scene.expected, scene.intrinsics, scene.solved(scene.expected)
    )
    joined, told = with_parallax(wrong, log_sigma, scene.pairs, seen)
    off = [(some - scene.depth.log())[:3].abs().median() for some in (wrong, joined)]
    assert off[1] < 0.5 * off[0]
    assert torch.equal(joined[3], wrong[3]) and torch.allclose(told[3], log_sigma[3])
    assert (told[:3] <= log_sigma[:3] + 1e-5).all()
    still = torch.ones_like(wrong)
    still[:, :, :40] = 0
    partly, _ = with_parallax(wrong, log_sigma, scene.pairs, seen, still)
    assert torch.equal(partly[:, :, :40], wrong[:, :, :40])
    assert torch.equal(partly[:, :, 40:], joined[:, :, 40:])


@pytest.mark.parametrize('autocast', [False, True])
def test_wrong_depths_leave_little_motion_to_what_stands_still(scene: Scene, autocast: bool):
    """With the depths that parallax gives and motions of that length, as masks are told."""
    k, wrong = scene.intrinsics, 3 * scene.expected.log() - 2 * scene.depth.log()
    log_sigma = torch.full_like(wrong, log(3 * SIGMA))
    moved = scene.solved(wrong.exp())
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        seen, motions = parallaxes(scene.pairs, wrong.exp(), k, moved)
        joined = with_parallax(wrong, log_sigma, scene.pairs, seen)[0].exp()
        found = []
        for depth, shown in ((wrong.exp(), moved), (joined, moved), (joined, motions)):
            after, _ = other_frames(scene.pairs, depth, k, shown, [0, 1])
            assert after is not None
            evidence = residual_motion(depth[:2], k[:2], after)
            found.append(evidence[:, :2].abs().expm1().norm(dim=1).median().item())
    before, half, all_told = found
    assert all_told < 0.5 * before and all_told < half


def test_a_cell_between_two_is_told_by_both(scene: Scene):
    wrong, log_sigma = scene.expected.log(), torch.full_like(scene.depth, log(SIGMA))
    seen, _ = parallaxes(
        scene.pairs, scene.expected, scene.intrinsics, scene.solved(scene.expected)
    )
    joined, _ = with_parallax(wrong, log_sigma, scene.pairs, seen)
    after, before = (
        type(way)(*(part[i, None] for part in vars(way).values())) for way, i in zip(seen, (1, 0))
    )
    for cell, shown in ((0, [type(after)(*(p[:1] for p in vars(seen[0]).values()))]),
                        (1, [after, before])):  # fmt: skip
        one = slice(cell, cell + 1)
        expected, _ = joined_depth(wrong[one], log_sigma[one], shown)
        assert torch.allclose(joined[one], expected, atol=1e-5)


def test_motions_that_are_not_known_leave_depth_as_it_is(scene: Scene):
    motions = posed_motions(scene.pairs, scene.poses)
    seen, _ = parallaxes(scene.pairs, scene.expected, scene.intrinsics, motions)
    wrong = scene.expected.log()
    joined, _ = with_parallax(wrong, torch.full_like(wrong, -2.0), scene.pairs, seen)
    assert torch.equal(joined, wrong), 'poses without a covariance are a guess'


def test_cells_are_shown_the_frames_after_and_before_them(scene: Scene):
    motions = posed_motions(scene.pairs, scene.poses)
    pairs, depth, k = scene.pairs, scene.depth, scene.intrinsics
    after, before = other_frames(pairs, depth, k, motions, [1, 2, 3])
    assert after is not None and before is not None
    relative = torch.linalg.inv(scene.poses[2].double()) @ scene.poses[1].double()
    assert torch.allclose(after.other_from_camera[0].double(), relative, atol=1e-5)
    assert torch.equal(after.flow[0], pairs.there.flow[1])
    assert torch.equal(after.depth[0], depth[2])
    relative = torch.linalg.inv(scene.poses[1].double()) @ scene.poses[2].double()
    assert torch.allclose(before.other_from_camera[1].double(), relative, atol=1e-5)
    assert torch.equal(before.flow[1], pairs.back.flow[1])
    hidden = occluded(pairs.back.flow[1:], pairs.there.flow[1:])
    assert torch.equal(before.occluded[1:2], hidden)
    assert after.flow[1:].isnan().all() and before.flow[2].isnan().all()
    assert other_frames(pairs, depth, k, motions, [0])[1] is None
    assert other_frames(pairs, depth, k, motions, [3]) == (None, None)


def test_no_pairs_are_nothing_to_learn_from(scene: Scene):
    none = CellPairs.of(
        [],
        (scene.pairs.there.flow[:0], scene.pairs.there.log_scale[:0]),
        (scene.pairs.back.flow[:0], scene.pairs.back.log_scale[:0]),
    )
    motions = solved_motions(none, scene.depth, scene.intrinsics, posed_motions(none, scene.poses))
    seen, _ = parallaxes(none, scene.depth, scene.intrinsics, motions)
    expected = scene.depth.log(), torch.zeros_like(scene.depth)
    for found, before in zip(with_parallax(*expected, none, seen), expected):
        assert torch.allclose(found, before, atol=1e-6)
    assert other_frames(none, scene.depth, scene.intrinsics, motions, [0, 1]) == (None, None)


def test_flows_that_miss_are_seen_through(scene: Scene):
    """A third of the pixels move as if something else did: motion and depth stay those known."""
    moved = scene.pairs.there.flow.clone()
    moved[:, :, 30:70] += torch.tensor([4.0, -5.0])[:, None, None]
    pairs = replace(scene.pairs, there=replace(scene.pairs.there, flow=moved))
    start = posed_motions(pairs, torch.eye(4).expand(4, 4, 4))
    motions = solved_motions(pairs, scene.expected, scene.intrinsics, start)
    wrong, log_sigma = scene.expected.log(), torch.full_like(scene.depth, log(SIGMA))
    seen, _ = parallaxes(pairs, scene.expected, scene.intrinsics, motions)
    joined, _ = with_parallax(wrong, log_sigma, pairs, seen)
    off = [(some - scene.depth.log())[0].abs() for some in (wrong, joined)]
    assert off[1][70:].median() < 0.7 * off[0][70:].median()
    assert off[1][30:70].median() < 1.3 * off[0][30:70].median()

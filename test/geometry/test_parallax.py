"""Depth from parallax, against projection by hand and brute force."""

from __future__ import annotations

from fourd_perception.geometry.parallax import (
    joined_depth,
    length_factor,
    lengthened,
    triangulate,
    Triangulation,
)
from hypothesis import given, settings, strategies as st
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation
import torch

HEIGHT, WIDTH = 24, 32
FIRST = np.array([[30.0, 0, 15.0], [0, 32.0, 11.0], [0, 0, 1]])
OTHER = np.array([[27.0, 0, 16.5], [0, 28.0, 12.0], [0, 0, 1]])
STILL = torch.zeros(1, 6, 6)


def moved(turn=(0.02, -0.03, 0.05), shift=(0.3, -0.1, 0.15)) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), shift
    return pose


def drawn_depth(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.5, 9.0, (HEIGHT, WIDTH))


def flow_of(depth: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Pixel by pixel."""
    flow = np.empty((2, HEIGHT, WIDTH))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            point = depth[y, x] * np.linalg.inv(FIRST) @ (x, y, 1)
            seen = OTHER @ (pose[:3, :3] @ point + pose[:3, 3])
            flow[:, y, x] = seen[:2] / seen[2] - (x, y)
    return flow


def triangulated(
    flow: np.ndarray,
    pose: np.ndarray,
    depth: np.ndarray,
    error: float | np.ndarray = 0.1,
    covariance: torch.Tensor = STILL,
) -> Triangulation:
    return triangulate(
        torch.from_numpy(flow)[None].float(),
        torch.as_tensor(error, dtype=torch.float32).expand(1, HEIGHT, WIDTH),
        torch.from_numpy(FIRST)[None],
        torch.from_numpy(OTHER)[None],
        torch.from_numpy(pose)[None],
        covariance,
        torch.from_numpy(depth)[None].float(),
    )


@given(st.integers(0, 1000), st.floats(0.5, 2.0))
@settings(max_examples=20, deadline=None)
def test_true_flow_and_motion_give_the_true_depth_whatever_is_expected(seed, expected):
    depth, pose = drawn_depth(seed), moved()
    found = triangulated(flow_of(depth, pose), pose, expected * depth)
    np.testing.assert_allclose(1 / found.inverse_depth[0].double(), depth, rtol=2e-3)
    assert found.across.max() < 0.01 and (found.information > 0).all()


def test_information_is_that_of_flows_with_such_an_error():
    """Repeated with noise drawn anew: variance of inverse depth, and distances across of one."""
    depth, pose = drawn_depth(0), moved()
    flow, sigma = flow_of(depth, pose), 0.4
    noise = np.random.default_rng(1).normal(0, sigma, (200, *flow.shape))
    runs = [triangulated(flow + n, pose, depth, sigma) for n in noise]
    spread = torch.stack([run.inverse_depth for run in runs]).std(0)
    ratio = spread * runs[0].information.sqrt()
    assert 0.9 < ratio.mean() < 1.1 and ratio.max() < 1.5
    across = torch.stack([run.across for run in runs]).square().mean(0).sqrt()
    assert 0.9 < across.mean() < 1.1


def test_information_knows_of_errors_of_the_motion():
    """The same with motions drawn anew around the true one."""
    depth, pose = drawn_depth(0), moved()
    flow, draw = flow_of(depth, pose), np.random.default_rng(1)
    sigmas = np.repeat([0.01, 0.004], 3)
    covariance = torch.from_numpy(np.diag(sigmas**2))[None]
    found = []
    for _ in range(200):
        wrong = moved(draw.normal(0, sigmas[3:]), draw.normal(0, sigmas[:3])) @ pose
        found.append(triangulated(flow, wrong, depth, 0.0, covariance))
    spread = torch.stack([run.inverse_depth for run in found]).std(0)
    known = torch.stack([run.information for run in found]).mean(0)
    assert 0.5 < (spread * known.sqrt()).median() < 1.5


def test_what_is_not_known_says_nothing():
    depth, pose = drawn_depth(0), moved()
    flow = flow_of(depth, pose)
    lost = pose.copy()
    lost[0, 3] = np.nan
    blind = [
        triangulated(flow, lost, depth),
        triangulated(flow + np.nan, pose, depth),
        triangulated(flow, pose, depth, np.inf),
        triangulated(flow, np.eye(4), depth),
        triangulated(flow, pose, depth, covariance=STILL + torch.nan),
        triangulated(flow, moved(turn=(0, 3.0, 0)), depth),
    ]
    expected = torch.from_numpy(depth)[None].float().log()
    for seen in blind:
        assert (seen.information == 0).all()
        log, log_sigma = joined_depth(expected, torch.full_like(expected, -1.5), [seen])
        assert torch.allclose(log, expected) and torch.allclose(log_sigma, torch.tensor(-1.5))


@given(st.integers(0, 200), st.floats(0.05, 0.4), st.floats(0.05, 1.0))
@settings(max_examples=30, deadline=None)
def test_joined_depth_is_the_most_probable_one(seed, sigma, error):
    """Of one pixel that two others see, found by brute force."""
    draw = np.random.default_rng(seed)
    true, expected = 0.3, np.log(1 / 0.3) + sigma * draw.normal()
    spread = error * true
    seen = true + spread * draw.normal(size=2)
    near = np.exp(-expected)
    doubt = [(1 + (s - near) ** 2 / (spread**2 + near**2 * 2 * sigma**2) / 4) ** 2 for s in seen]

    def cost(log):
        misfit = [((np.exp(-log) - s) / spread) ** 2 / d for s, d in zip(seen, doubt)]
        return (log - expected) ** 2 / (2 * sigma**2) + sum(misfit)

    best = minimize_scalar(cost, bounds=(expected - 3, expected + 3), method='bounded').x
    one = torch.ones(1, 1, 1)
    found, log_sigma = joined_depth(
        expected * one,
        np.log(sigma) * one,
        [Triangulation(s * one, one / spread**2, 0 * one) for s in seen],
    )
    assert abs(float(found) - best) < 0.02
    assert float(log_sigma) < np.log(sigma)


def test_parallax_betters_a_wrong_depth_and_leaves_what_moves_alone():
    depth, pose = drawn_depth(3), moved()
    flow = flow_of(depth, pose)
    flow[:, :, :8] += np.array([3.0, 6.0])[:, None, None]  # across the epipolar lines
    draw = np.random.default_rng(5)
    wrong = np.log(depth) + draw.normal(0, 0.25, depth.shape)
    seen = triangulated(flow + draw.normal(0, 0.1, flow.shape), pose, np.exp(wrong), 0.12)
    expected = torch.from_numpy(wrong)[None].float()
    found, log_sigma = joined_depth(expected, torch.full_like(expected, np.log(0.2)), [seen])
    off = np.abs(found[0].numpy() - np.log(depth))[:, 8:]
    assert np.median(off) < 0.35 * np.median(np.abs(wrong - np.log(depth))[:, 8:])
    # Two thirds of the errors are below the sigma that is told, times 1.1 for Laplace.
    assert 0.5 < (off < 1.1 * log_sigma[0, :, 8:].exp().numpy()).mean() < 0.95
    np.testing.assert_allclose(found[0, :, :8], wrong[:, :8], atol=0.05)


@given(st.floats(0.5, 2.0))
@settings(max_examples=10, deadline=None)
def test_lengths_of_motions_are_told_by_the_depths(factor):
    depth, pose = drawn_depth(3), moved()
    flow, short = flow_of(depth, pose), moved()
    short[:3, 3] /= factor
    draw = np.random.default_rng(5)
    wrong = depth * np.exp(draw.normal(0, 0.2, depth.shape))
    flow[:, :6] += 5  # something moves
    seen = triangulated(flow, short, wrong)
    expected = torch.from_numpy(wrong)[None].float()
    found = length_factor([expected], [seen])
    np.testing.assert_allclose(found, factor, rtol=0.06)
    right = triangulated(flow, pose, wrong)
    longer = lengthened(seen, torch.tensor([factor]))
    assert torch.allclose(longer.inverse_depth, right.inverse_depth, rtol=1e-3, atol=1e-5)
    assert torch.allclose(longer.information, right.information, rtol=0.5)
    nothing = Triangulation(*(torch.zeros_like(expected) for _ in range(3)))
    assert length_factor([expected], [nothing]) == 1

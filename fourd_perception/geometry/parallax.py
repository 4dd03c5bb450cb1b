"""Depth from where flow leads when the motion of the camera is known, joined with expected depth.

A pixel's ray r, turned into the other camera, is R r; its point at inverse depth w lies along
R r + w t. Flow says where it is met, so w solves two linear equations: triangulation. Its error is
that of flow and motion over the parallax. An expected log-depth, such as a network's, and all that
is triangulated meet at the most probable log-depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

ITERATIONS = 5
LARGEST_STEP = 0.7  # of log-depth, in an iteration
# Sigmas of disagreement at which a triangulation counts for a quarter (Geman-McClure).
SOFTNESS = 2.0
LEAST_FLOW_ERROR = 0.05  # pixels
NEAREST = 0.05  # of the depth of a ray's direction: nearer to the other camera nothing is met
SURE = 0.3  # relative error of inverse depth up to which it tells of the length of a motion


@dataclass(frozen=True, eq=False)
class Triangulation:
    """Inverse depth of N images, [N, H, W] each, as one other image of the same scene shows it.

    inverse_depth: negative where noise exceeds the parallax; 0 where unknown
    information:   1 / variance of it; 0 where unknown
    across:        distance of the flow from the epipolar line, in its own sigmas; 0 where unknown
    """

    inverse_depth: torch.Tensor
    information: torch.Tensor
    across: torch.Tensor


def triangulate(
    flow: torch.Tensor,
    flow_error: torch.Tensor,
    intrinsics: torch.Tensor,
    other_intrinsics: torch.Tensor,
    other_from_camera: torch.Tensor,
    covariance: torch.Tensor,
    depth: torch.Tensor,
) -> Triangulation:
    """What flow to another image says of inverse depth; unknown where an input is NaN.

    flow:         [N, 2, H, W] to the other image, pixels
    flow_error:   [N, H, W], expected length of its error, pixels; infinite where not to be used
    intrinsics, other_intrinsics: [N, 3, 3] without skew, pixel (0, 0) centred at (0, 0)
    other_from_camera: [N, 4, 4]
    covariance:   [N, 6, 6] of it: translation, then rotation vector
    depth:        expected one [N, H, W]: how much an error of the motion moves a pixel
    """
    k, other = (m.float()[:, :, :, None, None] for m in (intrinsics, other_intrinsics))
    height, width = flow.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device, dtype=torch.float32),
        torch.arange(width, device=flow.device, dtype=torch.float32),
        indexing='ij',
    )
    u, v = (x - k[:, 0, 2]) / k[:, 0, 0], (y - k[:, 1, 2]) / k[:, 1, 1]
    pose = other_from_camera.float()
    ray = torch.stack([u, v, torch.ones_like(u)], dim=1)
    # No matrix product, which autocast would take into bfloat16.
    far = (pose[:, :3, :3, None, None] * ray[:, None]).sum(2)
    shift = pose[:, :3, 3, None, None].expand_as(far)
    focal, centre = (torch.stack([m[0], m[1]], 1) for m in _focal_and_centre(other))
    met = (torch.stack([x, y]) + flow - centre) / focal
    # Pixels that the point is off, times its depth along the ray's: start + w slope.
    start, slope = (focal * (part[:, :2] - met * part[:, 2:]) for part in (far, shift))
    expected = 1 / depth
    ahead = far[:, 2] + expected * shift[:, 2]
    error = flow_error.square() + LEAST_FLOW_ERROR**2
    error = error + _motion_error(covariance.float(), focal, expected)
    length = slope.square().sum(1)
    across = (start[:, 0] * slope[:, 1] - start[:, 1] * slope[:, 0]) / (length * error).sqrt()
    found = Triangulation(
        inverse_depth=-(start * slope).sum(1) / length,
        information=length / ahead.square() / error,
        across=across.abs() / ahead,
    )
    known = ahead > NEAREST * far[:, 2]
    for values in vars(found).values():
        known = known & values.isfinite()
    return Triangulation(*(v.where(known, torch.zeros_like(v)) for v in vars(found).values()))


def _focal_and_centre(k: torch.Tensor) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    return (k[:, 0, 0], k[:, 1, 1]), (k[:, 0, 2], k[:, 1, 2])


def _motion_error(
    covariance: torch.Tensor, focal: torch.Tensor, inverse_depth: torch.Tensor
) -> torch.Tensor:
    """Variance [N, H, W] of where a point is seen, pixels squared, by the error of the motion."""
    shift, turn = (
        covariance[:, part, part].diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
        for part in (slice(3), slice(3, 6))
    )
    return focal.square().mean(1) * (turn + inverse_depth.square() * shift)


def length_factor(depth: Sequence[torch.Tensor], seen: Sequence[Triangulation]) -> torch.Tensor:
    """By how much [N] the translations are too short for the expected depths [N, H, W].

    The weighted median of triangulated over expected inverse depth: least squares on depths that
    are wrong come out short. 1 where nothing tells.
    """
    ratios, weights = [], []
    for expected, one in zip(depth, seen):
        variance = 1 / (one.information * one.inverse_depth.square()).clamp(min=1e-12)
        sure = 1 / (variance + SURE**2) / _doubt(one.across)
        ahead = (one.inverse_depth > 0) & (one.information > 0)
        ratios.append((one.inverse_depth * expected).clamp(min=1e-6).log().flatten(1))
        weights.append(torch.where(ahead, sure, 0).flatten(1))
    ratio, order = torch.cat(ratios, dim=1).sort(dim=1)
    weight = torch.cat(weights, dim=1).gather(1, order).cumsum(dim=1)
    middle = torch.searchsorted(weight, 0.5 * weight[:, -1:]).clamp(max=weight.shape[1] - 1)
    factor = ratio.gather(1, middle)[:, 0].exp()
    return torch.where(weight[:, -1] > 0, factor, 1.0)


def lengthened(seen: Triangulation, factor: torch.Tensor) -> Triangulation:
    """The same with translations `factor` [N] times as long."""
    factor = factor[:, None, None]
    return replace(
        seen,
        inverse_depth=seen.inverse_depth / factor,
        information=seen.information * factor.square(),
    )


def joined_depth(
    log_depth: torch.Tensor, log_sigma: torch.Tensor, seen: Sequence[Triangulation]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The most probable log-depth [N, H, W], and the logarithm of its sigma.

    log_depth, log_sigma: what is expected, sigma that of a Laplace density, as in the answer
    Off the epipolar line, or far from what is expected, a triangulation counts for less: it may
    belong to something that moves.
    """
    variance = 2 * (2 * log_sigma).exp()
    expected = (-log_depth).exp()
    weights = []
    for one in seen:
        spread = 1 / one.information.clamp(min=1e-12) + expected.square() * variance
        off = (one.inverse_depth - expected).square() / spread
        weights.append(one.information / _doubt((off + one.across.square()).sqrt()))
    log, curvature = log_depth, 1 / variance
    for _ in range(ITERATIONS):
        inverse = (-log).exp()
        slope, curvature = (log - log_depth) / variance, 1 / variance
        for one, weight in zip(seen, weights):
            slope = slope - weight * inverse * (inverse - one.inverse_depth)
            curvature = curvature + weight * inverse.square()
        log = log - (slope / curvature).clamp(-LARGEST_STEP, LARGEST_STEP)
    return log, -0.5 * (2 * curvature).log()


def _doubt(sigmas: torch.Tensor) -> torch.Tensor:
    """By what a weight is divided (Geman-McClure)."""
    return (1 + (sigmas / SOFTNESS).square()).square()

"""The motion of a camera or a rig between two instants, from depth, flow and intrinsics.

Robust Gauss-Newton on reprojection (training spec 3.12). The depths that networks give are wrong
by a fifth, smoothly over the image. Their error is marginalised per pixel: the residual has the
covariance sigma_flow^2 I + n sigma_depth^2 s s^T, where s is its change by the logarithm of the
depth (along the epipolar line) and n the number of pixels that share one error of the depth. So
rotation and direction rest on the components across the epipolar lines, and depth decides where
nothing else does: on the length of the translation, and on its direction where there is little
parallax.
"""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.epipolar_residuals import (
    median_depth,
    Rays,
    rays_of,
    Residuals,
    residuals,
)
from fourd_perception.geometry.motion_covariance import (
    block_of,
    block_scores,
    covariance,
    depth_bias,
    sensitivity,
)
from fourd_perception.geometry.robust_equations import (
    Belief,
    corrected_slope,
    depth_correction,
    equations,
    geometry,
    marginal_belief,
    plain_belief,
)
from fourd_perception.geometry.sightings import Sightings
import torch

LARGEST_STEP = (1.0, 0.5)  # of an iteration: translation in median depths, rotation in radians
Motion = tuple[torch.Tensor, torch.Tensor]  # rotation [B, 3, 3], translation [B, 3]


@dataclass(frozen=True)
class MotionSettings:
    """How motions are solved.

    iterations:     of Gauss-Newton, always so many
    warm_up:        of them, the first ones, which take the depth for true
    depth_error:    expected relative error of depth
    depth_patches:  patches of an image within which errors of depth go together
    least_noise:    of flow, pixels; what is measured counts where it is larger
    softness:       of the Geman-McClure weights: sigmas at which a pixel has a quarter
    blocks:         rows and columns of the blocks of an image whose errors the covariance takes
                    for independent
    least_inliers, greatest_condition: beyond them the start counts instead
    """

    iterations: int = 15
    warm_up: int = 2
    depth_error: float = 0.2
    depth_patches: int = 64
    least_noise: float = 0.02
    softness: float = 1.2
    blocks: tuple[int, int] = (6, 8)
    least_inliers: int = 200
    greatest_condition: float = 300.0


@dataclass(frozen=True, eq=False)
class SolvedMotion:
    """Motions of B bodies.

    older_from_newer: float64 [B, 4, 4], the body's later pose in its earlier frame, in the unit
                of the depth; the start where `solved` is False
    covariance: float64 [B, 6, 6] of it: translation, then rotation vector, both along the axes of
                the earlier frame; NaN where `solved` is False
    solved:     bool [B]
    inliers:    int64 [B], of the pixels looked at, those within three sigmas; mean of both ways
    condition:  float64 [B], of the least squares that take depth for true, lengths in median
                depths: standard deviation of the least over that of the best known combination
    flow_noise: float32 [B], sigma of the flow across epipolar lines, pixels
    """

    older_from_newer: torch.Tensor
    covariance: torch.Tensor
    solved: torch.Tensor
    inliers: torch.Tensor
    condition: torch.Tensor
    flow_noise: torch.Tensor


def refusal(motion: SolvedMotion, body: int, settings: MotionSettings | None = None) -> str:
    """Why the start counts for a body and no solution, in plain words; empty when one does."""
    settings = settings or MotionSettings()
    inliers, condition = int(motion.inliers[body]), float(motion.condition[body])
    if bool(motion.solved[body]):
        return ''
    if inliers < settings.least_inliers:
        return f'{inliers} pixels agree on a motion, {settings.least_inliers} are needed'
    return (
        f'what is seen does not fix the motion: its condition is {condition:.0f}, the limit is '
        f'{settings.greatest_condition:.0f}'
    )


def solve_motion(
    older: Sightings,
    start: torch.Tensor,
    newer: Sightings | None = None,
    settings: MotionSettings | None = None,
) -> SolvedMotion:
    """The motions of B bodies from what their cameras saw at an older and at a newer instant.

    older: pixels at the older instant, targets at the newer one
    start: [B, 4, 4], older_from_newer, such as a network's camera head says
    newer: the other way round, of the same cameras; None: one way only

    Nothing waits for the device before the answer is read.
    """
    settings = settings or MotionSettings()
    seen = [way for way in (older, newer) if way is not None]
    unit = median_depth(seen)
    ways = [rays_of(way, unit) for way in seen]
    inlier: list[torch.Tensor | None] = [None] * len(ways)
    start = start.double()
    motion = _inverse((start[:, :3, :3], start[:, :3, 3] / unit[:, None]))
    for i in range(settings.iterations):
        looks = _looks(ways, motion, inlier, i < settings.warm_up, settings)
        if i >= settings.warm_up:
            inlier = [look.belief.inlier for look in looks]
        motion = _stepped(motion, looks)
    looks = _looks(ways, motion, inlier, False, settings)
    block = block_of(older.shape, settings.blocks, unit.device)
    return _answer(looks, motion, unit, start, block, settings)


@dataclass(frozen=True, eq=False)
class _Look:
    """What one way from instant to instant says at a motion.

    step: float64 [B, 6, 6], from steps of the motion newer_from_older to those of this way
    """

    found: Residuals
    belief: Belief
    correction: torch.Tensor
    step: torch.Tensor


def _looks(
    ways: list[Rays],
    motion: Motion,
    inlier: list[torch.Tensor | None],
    plain: bool,
    settings: MotionSettings,
) -> list[_Look]:
    looks = []
    same = torch.eye(6, dtype=torch.float64, device=motion[0].device).expand(len(motion[0]), 6, 6)
    for k, rays in enumerate(ways):
        rotation, translation = motion if k == 0 else _inverse(motion)
        found = residuals(rays, rotation.to(rays.rays), translation.to(rays.rays))
        if plain:
            belief = plain_belief(found, settings.least_noise, settings.softness)
            correction = torch.ones_like(found.spread)[..., None]
        else:
            belief = marginal_belief(
                found,
                inlier[k],
                settings.depth_error,
                len(rays.targets[0, 0]) / settings.depth_patches,
                settings.least_noise,
                settings.softness,
            )
            correction = depth_correction(found, belief, settings.depth_error)
        step = same if k == 0 else _inverse_step(motion)
        looks.append(_Look(found, belief, correction, step))
    return looks


def _stepped(motion: Motion, looks: list[_Look]) -> Motion:
    """The motion after one step of Gauss-Newton."""
    matrix, right = torch.zeros(()), torch.zeros(())
    for look in looks:
        slope = corrected_slope(look.found.across_slope, look.correction)
        system = equations(look.found, look.belief, slope)
        matrix = matrix + look.step.mT @ system.matrix @ look.step
        right = right + (look.step.mT @ system.right[..., None])[..., 0]
    damping = 1e-9 * matrix.diagonal(dim1=-2, dim2=-1).mean(dim=-1) + 1e-12
    damping = damping[:, None, None] * torch.eye(6, dtype=torch.float64, device=matrix.device)
    step = torch.linalg.solve_ex(matrix + damping, right).result
    far, turn = LARGEST_STEP
    translation = motion[1] + step[:, :3].clamp(-far, far)
    return _rotation(step[:, 3:].clamp(-turn, turn)) @ motion[0], translation


def _answer(
    looks: list[_Look],
    motion: Motion,
    unit: torch.Tensor,
    start: torch.Tensor,
    block: torch.Tensor,
    settings: MotionSettings,
) -> SolvedMotion:
    count = settings.blocks[0] * settings.blocks[1]
    derivative, information = torch.zeros(()), torch.zeros(())
    scores, bias, inliers = torch.zeros(()), torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for look in looks:
        found, belief, step = look.found, look.belief, look.step
        derivative = derivative + step.mT @ sensitivity(found, belief, look.correction) @ step
        information = information + step.mT @ geometry(found, belief) @ step
        scores = scores + block_scores(found, belief, block, count) @ step
        bias = bias + depth_bias(found, belief, look.correction)[:, None] @ step
        inliers = inliers + belief.inlier.sum(dim=1)
    # What is told is the inverse of what was solved for, and in the unit of the depth.
    rotation, translation = _inverse(motion)
    pose = torch.cat([rotation, translation[..., None] * unit[:, None, None]], dim=-1)
    pose = torch.cat([pose, start[:, 3:]], dim=1)
    step = _inverse_step(motion)
    step = torch.cat([step[:, :3] * unit[:, None, None], step[:, 3:]], dim=1)
    known = step @ covariance(derivative, scores, bias[:, 0]) @ step.mT
    values = torch.linalg.eigvalsh(information.nan_to_num())
    condition = (values[:, -1] / values[:, 0].clamp(min=1e-30)).sqrt()
    inliers = inliers // len(looks)
    solved = (
        (inliers >= settings.least_inliers)
        & (condition <= settings.greatest_condition)
        & pose.isfinite().all(dim=(1, 2))
        & known.isfinite().all(dim=(1, 2))
    )
    return SolvedMotion(
        older_from_newer=pose.where(solved[:, None, None], start),
        covariance=torch.where(solved[:, None, None], known, torch.nan),
        solved=solved,
        inliers=inliers,
        condition=condition,
        flow_noise=torch.stack([look.belief.noise[:, 0] for look in looks]).mean(dim=0),
    )


def _inverse(motion: Motion) -> Motion:
    rotation, translation = motion
    return rotation.mT, -(rotation.mT @ translation[..., None])[..., 0]


def _inverse_step(motion: Motion) -> torch.Tensor:
    """[B, 6, 6]: from steps of a motion to those of its inverse, both from the left."""
    back = -motion[0].mT
    step = torch.zeros(len(back), 6, 6, dtype=back.dtype, device=back.device)
    step[:, :3, :3] = step[:, 3:, 3:] = back
    step[:, :3, 3:] = back @ _cross(motion[1])
    return step


def _cross(vector: torch.Tensor) -> torch.Tensor:
    """[B, 3, 3]: the matrix whose product with another vector is the cross product."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def _rotation(vector: torch.Tensor) -> torch.Tensor:
    """[B, 3, 3] of rotation vectors [B, 3] (Rodrigues)."""
    angle = vector.norm(dim=-1)[:, None, None]
    cross = _cross(vector)
    sine, versine = torch.sinc(angle / torch.pi), torch.sinc(angle / (2 * torch.pi)) ** 2 / 2
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + sine * cross + versine * cross @ cross

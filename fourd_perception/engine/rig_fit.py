"""Metric scale and rig poses from cameras whose places on the rig are known."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.poses import mean_rotation, rotation_angle, transform
import numpy as np


@dataclass(frozen=True, eq=False)
class RigFit:
    """How predicted camera poses agree with the known rig; N cells in G groups.

    scale:      metres per gauge unit; NaN where the positions do not resemble the rig at all
    spread:     relative standard error of `scale`; infinite where it is NaN
    baseline:   largest known distance between two cameras of one group, metres
    group:      int [N], the group of each cell; a group is one pose of the base
    rotation:   float64 [G, 3, 3], gauge from base
    position_variance: of one predicted coordinate, gauge units squared
    angle_variance:    of one predicted rotation coordinate, square radians
    """

    scale: float
    spread: float
    baseline: float
    group: np.ndarray
    rotation: np.ndarray
    position_variance: float
    angle_variance: float


def fit_rig(
    gauge_from_camera: np.ndarray, base_from_camera: np.ndarray, group: np.ndarray
) -> RigFit:
    """Fit one scale, and per group one pose of the base, to N >= 1 predicted camera poses.

    Orientations give the rotation of each group (two cameras leave the roll about their baseline
    open otherwise). Positions, relative to their group's mean, give the scale: the known ones are
    exact and the predicted ones are not, so 1 / scale is the slope of predicted against known.

    gauge_from_camera, base_from_camera: float64 [N, 4, 4]; group: int [N], 0..G-1, none empty
    """
    groups = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    relative = gauge_from_camera[:, :3, :3] @ np.swapaxes(base_from_camera[:, :3, :3], -1, -2)
    rotation = np.stack([mean_rotation(relative[cells]) for cells in groups])
    angles = rotation_angle(np.swapaxes(rotation[group], -1, -2) @ relative)

    predicted = gauge_from_camera[:, :3, 3].copy()
    known = np.einsum('nij,nj->ni', rotation[group], base_from_camera[:, :3, 3])
    baseline = 0.0
    for cells in groups:
        predicted[cells] -= predicted[cells].mean(axis=0)
        known[cells] -= known[cells].mean(axis=0)
        between = np.linalg.norm(known[cells][:, None] - known[cells][None], axis=-1)
        baseline = max(baseline, float(between.max()))

    redundant = len(group) - len(groups)
    length = float((known**2).sum())
    slope = float((known * predicted).sum()) / length if length > 0 else 0.0
    variance = float(((predicted - slope * known) ** 2).sum()) / max(3 * redundant - 1, 1)
    found = slope > 0 and redundant > 0
    return RigFit(
        scale=1.0 / slope if found else float('nan'),
        spread=float(np.sqrt(variance / length)) / slope if found else float('inf'),
        baseline=baseline,
        group=group,
        rotation=rotation,
        position_variance=variance,
        angle_variance=float((angles**2).sum()) / max(3 * redundant, 1),
    )


def base_poses(
    fit: RigFit, gauge_from_camera: np.ndarray, base_from_camera: np.ndarray, scale: float
) -> np.ndarray:
    """float64 [G, 4, 4], gauge from base in metres: the cells of `fit` at a given scale."""
    arms = np.einsum('nij,nj->ni', fit.rotation[fit.group], base_from_camera[:, :3, 3])
    centres = scale * gauge_from_camera[:, :3, 3] - arms
    mean = [centres[fit.group == g].mean(axis=0) for g in range(len(fit.rotation))]
    return transform(fit.rotation, np.stack(mean))


def refusal(fit: RigFit, median_depth: float, max_spread: float, min_baseline_ratio: float) -> str:
    """Why the scale of this fit is not to be used, in plain words; empty when it is.

    median_depth: of the scene in gauge units
    """
    if fit.baseline == 0.0:
        return 'no two cameras with known places on the rig saw the scene together'
    if not fit.spread <= max_spread:
        how = f'only to {fit.spread:.0%}' if np.isfinite(fit.spread) else 'not at all'
        return (
            f'the predicted camera positions fit the known rig {how}, the limit is '
            f'{max_spread:.0%}'
        )
    depth = fit.scale * median_depth
    if fit.baseline < min_baseline_ratio * depth:
        return (
            f'the cameras of the rig are at most {fit.baseline:.2f} m apart, '
            f'{fit.baseline / depth:.1%} of the median depth of {depth:.2f} m; below '
            f'{min_baseline_ratio:.0%} that fixes no scale'
        )
    return ''

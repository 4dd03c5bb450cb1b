"""Least-squares alignment of points and of poses."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.poses import mean_rotation, rotation_angle, transform
import numpy as np


@dataclass(frozen=True, eq=False)
class Similarity:
    """p_target = scale * rotation @ p_source + translation; rotation [3, 3], translation [3]."""

    scale: float
    rotation: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points [..., 3] from source to target."""
        return self.scale * points @ self.rotation.T + self.translation


def umeyama(source: np.ndarray, target: np.ndarray, with_scale: bool = True) -> Similarity:
    """The similarity (or rigid motion) that takes points [N, 3] of source closest to target.

    Closed form of Umeyama (PAMI 1991), equations 40-43. Raises ValueError when the points do not
    fix the answer: fewer than three, or all on one line.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise ValueError(f'expected two arrays [N, 3], got {source.shape} and {target.shape}')
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    centred = source - mean_source
    u, singular, vt = np.linalg.svd((target - mean_target).T @ centred / len(source))
    if singular[1] <= 1e-12 * singular[0]:
        raise ValueError(
            f'{len(source)} points on one line (or one point) do not fix a rotation; '
            'give three or more that are not on a line'
        )
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    variance = (centred**2).sum() / len(source)
    scale = float((singular * sign).sum() / variance) if with_scale else 1.0
    return Similarity(scale, rotation, mean_target - scale * rotation @ mean_source)


@dataclass(frozen=True, eq=False)
class PoseAlignment:
    """The rigid motion between two worlds, from poses that both know.

    target_from_source: float64 [4, 4]
    position_variance:  of one residual coordinate, square metres
    angle_variance:     of one residual rotation coordinate, square radians
    count:              number of shared poses
    """

    target_from_source: np.ndarray
    position_variance: float
    angle_variance: float
    count: int


def align_poses(target_from_body: np.ndarray, source_from_body: np.ndarray) -> PoseAlignment:
    """Rigid alignment of two sets of poses [N, 4, 4] of the same bodies, N >= 1.

    Rotation is the mean over the bodies' own rotations, so that one body is enough and bodies on
    a line are no special case; translation takes the centres onto each other.
    """
    relative = target_from_body[:, :3, :3] @ np.swapaxes(source_from_body[:, :3, :3], -1, -2)
    rotation = mean_rotation(relative)
    offsets = target_from_body[:, :3, 3] - source_from_body[:, :3, 3] @ rotation.T
    translation = offsets.mean(axis=0)
    freedom = max(3 * (len(offsets) - 1), 1)
    angles = rotation_angle(rotation.T @ relative)
    return PoseAlignment(
        transform(rotation, translation),
        float(((offsets - translation) ** 2).sum() / freedom),
        float((angles**2).sum() / freedom),
        len(offsets),
    )

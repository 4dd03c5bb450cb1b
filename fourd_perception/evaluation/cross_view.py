"""Whether the depths of several cameras of known poses tell of one and the same scene."""

from __future__ import annotations

from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.projection import project, transform_points, unproject
import numpy as np

AGREES = 0.1
# Scales that are tried, around the one of the first guess, and pixels that are looked at.
FACTORS = np.geomspace(0.2, 5.0, 60)
STRIDE = 4


def depth_ratios(
    depth: np.ndarray, usable: np.ndarray, intrinsics: np.ndarray, room_from_camera: np.ndarray
) -> np.ndarray:
    """Float64 [N]: depth that one view sees over what another tells of the same point.

    Every usable pixel of every view is taken into every other view; those that land inside it on
    a usable pixel, in front, count. Depth float [V, H, W], metres; usable bool [V, H, W];
    intrinsics [V, 3, 3]; room_from_camera [V, 4, 4].
    """
    views, height, width = depth.shape
    ratios = []
    for a in range(views):
        points = unproject(depth[a], intrinsics[a])[::STRIDE, ::STRIDE]
        points = points[usable[a, ::STRIDE, ::STRIDE]]
        for b in range(views):
            if a == b:
                continue
            there = transform_points(invert(room_from_camera[b]) @ room_from_camera[a], points)
            pixels = np.nan_to_num(project(there, intrinsics[b]), nan=-1.0)
            x, y = np.round(np.clip(pixels, -1, max(height, width))).astype(int).T
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            x, y, z = x[inside], y[inside], there[inside, 2]
            both = usable[b][y, x]
            ratios.append(z[both] / depth[b][y[both], x[both]])
    return np.concatenate(ratios) if ratios else np.empty(0)


def best_agreement(
    depth: np.ndarray, usable: np.ndarray, intrinsics: np.ndarray, room_from_camera: np.ndarray
) -> tuple[float, float, float]:
    """How well views of depth [V, H, W] of any one scale agree at the scale that suits them best.

    Returns the median of |ratio - 1| over the pixels that two views share, the share of these
    within 10 %, and how many are shared, as a share of all usable ones taken into all other
    views. The scale is the one with most pixels within 10 %; NaN where none are ever shared.
    """
    views = len(depth)
    distances = np.linalg.norm(
        room_from_camera[:, None, :3, 3] - room_from_camera[None, :, :3, 3], axis=-1
    )
    first = distances.max() / float(np.median(depth[usable]))
    taken = usable[:, ::STRIDE, ::STRIDE].sum() * (views - 1)
    best, agreeing = (np.nan, np.nan, 0.0), 0
    for factor in first * FACTORS:
        ratios = depth_ratios(factor * depth, usable, intrinsics, room_from_camera)
        within = int((np.abs(ratios - 1) < AGREES).sum())
        if within > agreeing:
            apart = float(np.median(np.abs(ratios - 1)))
            best, agreeing = (apart, within / len(ratios), len(ratios) / taken), within
    return best

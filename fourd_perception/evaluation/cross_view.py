"""Whether the depths of several cameras of known poses tell of one and the same scene."""

from __future__ import annotations

from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.projection import project, transform_points, unproject
import numpy as np

AGREES = 0.1
# Larger depths may fall on more pixels of other views, so that most of them agree at too large a
# scale: this share of the most is enough.
ENOUGH = 0.8
# Scales that are tried, around the one of the first guess; then, as neighbours are 5.6 % apart,
# around the best of these.
FACTORS = np.geomspace(0.2, 5.0, 60)
FINE = 1 + 0.0025 * np.arange(-12, 13)
# Pixels that are looked at.
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
    views. The scale is the one of the least median, of those at which nearly as many pixels as at
    any are within 10 %; NaN where none are ever shared.
    """

    def apart(factor: float) -> np.ndarray:
        return np.abs(depth_ratios(factor * depth, usable, intrinsics, room_from_camera) - 1)

    distances = np.linalg.norm(
        room_from_camera[:, None, :3, 3] - room_from_camera[None, :, :3, 3], axis=-1
    )
    factors = distances.max() / float(np.median(depth[usable])) * FACTORS
    coarse = [apart(factor) for factor in factors]
    agreeing = np.array([np.count_nonzero(found < AGREES) for found in coarse])
    if not agreeing.any():
        return np.nan, np.nan, 0.0
    enough = np.flatnonzero(agreeing >= ENOUGH * agreeing.max())
    middle = factors[min(enough, key=lambda i: float(np.median(coarse[i])))]
    fine = [apart(factor) for factor in middle * FINE]
    best = min((found for found in fine if len(found)), key=lambda found: float(np.median(found)))
    taken = usable[:, ::STRIDE, ::STRIDE].sum() * (len(depth) - 1)
    return float(np.median(best)), float((best < AGREES).mean()), len(best) / int(taken)

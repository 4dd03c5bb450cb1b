"""Points that lie apart from their neighbours."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def statistical_inliers(
    points: np.ndarray, neighbours: int = 20, ratio: float = 2.5
) -> np.ndarray:
    """Mask bool [N] of points whose mean distance to their nearest `neighbours` is not unusual.

    The point itself counts among them. Kept when the mean is positive and below the mean of all
    means plus `ratio` sample standard deviations (the rule of Open3D). points [N, 3].
    """
    count = min(neighbours, len(points))
    if count == 0:
        return np.zeros(0, bool)
    distance = cKDTree(points).query(points, count, workers=-1)[0].reshape(len(points), -1)
    mean = distance.mean(1)
    spread = mean.std(ddof=1) if len(mean) > 1 else 0.0
    return (mean > 0) & (mean < mean.mean() + ratio * spread)


def radius_inliers(points: np.ndarray, radius: np.ndarray, neighbours: int = 5) -> np.ndarray:
    """Mask bool [N] of points with at least `neighbours` others within their radius [N]."""
    if len(points) <= neighbours:
        return np.zeros(len(points), bool)
    distance = cKDTree(points).query(points, neighbours + 1, workers=-1)[0]
    return distance[:, -1] <= radius

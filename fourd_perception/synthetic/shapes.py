"""Convex shapes in their own frame: where rays meet them, how far points are, how they look.

Every shape is centred at the origin with half sizes (x, y, z) in metres: `box`, `ellipsoid`
(half sizes are its semi-axes), `cylinder` (round, along z). Points and directions are three
float64 arrays of equal length, stacked as [3, N]. A convex shape meets a ray in one interval, so
the same box is a crate from outside and a room from inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Interval = tuple[np.ndarray, np.ndarray]
_NEWTON_STEPS = 40


def _slab(origin: float, direction: np.ndarray, half: float) -> Interval:
    inverse = 1.0 / direction
    a, b = (-half - origin) * inverse, (half - origin) * inverse
    return np.minimum(a, b), np.maximum(a, b)


def _quadric(origin: np.ndarray, direction: np.ndarray) -> Interval:
    """Interval inside the unit sphere (or circle); empty (near > far) on a miss."""
    a = (direction * direction).sum(axis=0)
    b = origin @ direction
    root = np.sqrt(b * b - a * (origin @ origin - 1.0))
    return (-b - root) / a, (-b + root) / a


def _box_interval(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Interval:
    near, far = _slab(origin[0], direction[0], half[0])
    for k in (1, 2):
        a, b = _slab(origin[k], direction[k], half[k])
        near, far = np.maximum(near, a), np.minimum(far, b)
    return near, far


def _ellipsoid_interval(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Interval:
    return _quadric(origin / half, direction / half[:, None])


def _cylinder_interval(origin: np.ndarray, direction: np.ndarray, half: np.ndarray) -> Interval:
    near, far = _slab(origin[2], direction[2], half[2])
    a, b = _quadric(origin[:2] / half[0], direction[:2] / half[0])
    return np.maximum(near, a), np.minimum(far, b)


def _outside_distance(q: np.ndarray) -> np.ndarray:
    """Signed distance from per-axis excesses q [K, N] over a product of intervals."""
    outside = np.sqrt((np.maximum(q, 0.0) ** 2).sum(axis=0))
    return outside + np.minimum(q.max(axis=0), 0.0)


def _box_distance(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    return _outside_distance(np.abs(points) - half[:, None])


def _cylinder_distance(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    radial = np.hypot(points[0], points[1]) - half[0]
    return _outside_distance(np.stack([radial, np.abs(points[2]) - half[2]]))


def _ellipsoid_distance(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Closest point x_i = h_i^2 p_i / (t + h_i^2), with t the root of a convex function.

    Newton from the left of the root is monotone. Points on the medial disc, deep inside, are the
    one place where the closest point is not unique and the answer only a bound.
    """
    p, square = np.abs(points), (half**2)[:, None]
    t = (half[:, None] * p - square).max(axis=0)
    for _ in range(_NEWTON_STEPS):
        ratio = half[:, None] * p / np.maximum(t + square, 1e-12)
        value = (ratio**2).sum(axis=0) - 1.0
        slope = -2.0 * (ratio**2 / np.maximum(t + square, 1e-12)).sum(axis=0)
        step = value / np.minimum(slope, -1e-300)
        t = t - step
        if (np.abs(step) < 1e-15).all():
            break
    closest = square * p / np.maximum(t + square, 1e-12)
    distance = np.sqrt(((p - closest) ** 2).sum(axis=0))
    return np.where(((p / half[:, None]) ** 2).sum(axis=0) < 1.0, -distance, distance)


def _box_skin(points: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    face = np.argmax(np.abs(points) / half[:, None], axis=0)
    sign = np.where(np.take_along_axis(points, face[None], 0)[0] < 0, -1.0, 1.0)
    normal = np.where(np.arange(3)[:, None] == face, sign, 0.0)
    u = np.where(face == 0, points[1], points[0])
    v = np.where(face == 2, points[1], points[2])
    # Opposite and neighbouring faces read different parts of the texture.
    shift = 7.31 * face + 3.17 * sign
    return normal, np.stack([u + shift * (face != 2), v])


def _ellipsoid_skin(points: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    normal = points / (half**2)[:, None]
    normal /= np.sqrt((normal**2).sum(axis=0))
    azimuth = np.arctan2(points[1] / half[1], points[0] / half[0])
    polar = np.arcsin(np.clip(points[2] / half[2], -1.0, 1.0))
    return normal, np.stack([azimuth * half[:2].mean(), polar * half[2]])


def _cylinder_skin(points: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    radial = np.hypot(points[0], points[1])
    cap = np.abs(points[2]) / half[2] > radial / half[0]
    side = points / np.maximum(radial, 1e-12)
    side[2] = 0.0
    top = np.zeros_like(points)
    top[2] = np.sign(points[2])
    around = np.stack([np.arctan2(points[1], points[0]) * half[0], points[2]])
    return np.where(cap, top, side), np.where(cap, points[:2], around)


@dataclass(frozen=True)
class Shape:
    """What the ray caster asks of a shape. `half` is float64 [3], points are [3, N].

    interval: (origin [3], directions [3, N], half) -> (near [N], far [N]) in lengths of the
              direction; near > far or NaN on a miss
    distance: (points, half) -> signed distance [N] to the surface, negative inside
    skin:     (surface points, half) -> outward normals [3, N], texture coordinates [2, N] (m)
    """

    interval: Callable[[np.ndarray, np.ndarray, np.ndarray], Interval]
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]
    skin: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


SHAPES = {
    'box': Shape(_box_interval, _box_distance, _box_skin),
    'ellipsoid': Shape(_ellipsoid_interval, _ellipsoid_distance, _ellipsoid_skin),
    'cylinder': Shape(_cylinder_interval, _cylinder_distance, _cylinder_skin),
}

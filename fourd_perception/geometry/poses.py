"""Rigid transforms in float64. `a_from_b @ p_b = p_a`; quaternions are (x, y, z, w)."""

from __future__ import annotations

import numpy as np


def transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """[..., 4, 4] from rotation [..., 3, 3] and translation [..., 3]."""
    rotation, translation = np.asarray(rotation, float), np.asarray(translation, float)
    batch = np.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    out = np.zeros((*batch, 4, 4))
    out[..., :3, :3] = rotation
    out[..., :3, 3] = translation
    out[..., 3, 3] = 1.0
    return out


def invert(a_from_b: np.ndarray) -> np.ndarray:
    """b_from_a of rigid transforms [..., 4, 4]."""
    rotation = np.swapaxes(np.asarray(a_from_b, float)[..., :3, :3], -1, -2)
    translation = -(rotation @ a_from_b[..., :3, 3:])[..., 0]
    return transform(rotation, translation)


def rotation_angle(rotation: np.ndarray) -> np.ndarray:
    """Angle of rotations [..., 3, 3] in radians, by atan2 (exact near zero)."""
    r = np.asarray(rotation, float)
    axis = np.stack(
        [
            r[..., 2, 1] - r[..., 1, 2],
            r[..., 0, 2] - r[..., 2, 0],
            r[..., 1, 0] - r[..., 0, 1],
        ],
        axis=-1,
    )
    return np.arctan2(np.linalg.norm(axis, axis=-1), np.trace(r, axis1=-2, axis2=-1) - 1.0)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Rotation closest to matrices [..., 3, 3] in the Frobenius norm (chordal projection)."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, float))
    sign = np.ones((*u.shape[:-2], 3))
    sign[..., 2] = np.linalg.det(u @ vt)
    return (u * sign[..., None, :]) @ vt


def mean_rotation(rotations: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Chordal mean [3, 3] of rotations [N, 3, 3]."""
    return nearest_rotation(np.average(np.asarray(rotations, float), axis=0, weights=weights))


def quaternion_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation [3, 3]."""
    r = np.asarray(rotation, float)
    # Bar-Itzhack: the quaternion is the dominant eigenvector of K, exact also near 180 degrees.
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    q = np.linalg.eigh(k)[1][:, -1]
    return q if q[3] >= 0 else -q


def rotation_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Rotation [3, 3] of a quaternion (x, y, z, w); its norm is divided out.

    Raises ValueError for a zero or non-finite quaternion.
    """
    q = np.asarray(quaternion, float)
    norm = float(np.linalg.norm(q))
    if not np.isfinite(norm) or norm < 1e-9:
        raise ValueError(f'quaternion {q.tolist()} has norm {norm}; a rotation needs norm 1')
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def interpolate_pose(first: np.ndarray, second: np.ndarray, fraction: float) -> np.ndarray:
    """The transform [4, 4] a fraction of the way from `first` to `second`.

    Translation linearly, rotation along the shorter arc (slerp); fractions outside 0..1 go on
    in the same direction.
    """
    q0 = quaternion_from_rotation(first[:3, :3])
    q1 = quaternion_from_rotation(second[:3, :3])
    if q0 @ q1 < 0:
        q1 = -q1
    angle = 2.0 * np.arctan2(np.linalg.norm(q1 - q0), np.linalg.norm(q1 + q0))
    if angle < 1e-9:
        weights = 1.0 - fraction, fraction
    else:
        weights = np.sin([(1.0 - fraction) * angle, fraction * angle]) / np.sin(angle)
    rotation = rotation_from_quaternion(weights[0] * q0 + weights[1] * q1)
    return transform(rotation, (1.0 - fraction) * first[:3, 3] + fraction * second[:3, 3])

"""Trajectory errors against answers known by construction (spec D.9)."""

from fourd_perception.evaluation.trajectory import (
    absolute_trajectory_error,
    pose_errors,
    relative_pose_error,
)
from fourd_perception.geometry.poses import invert, transform
import numpy as np
import pytest


def rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.roll(np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), axis, axis=(0, 1))


@pytest.fixture
def poses() -> np.ndarray:
    """A walk along a screw, 12 poses."""
    steps = np.arange(12)
    return np.array(
        [
            transform(rotation(2, 7.0 * k) @ rotation(0, 3.0 * k), [np.cos(k), np.sin(k), 0.2 * k])
            for k in steps
        ]
    )


def test_another_gauge_is_no_error(poses):
    gauge = transform(rotation(1, 40.0), [1.0, -2.0, 3.0])
    estimated = gauge @ poses
    estimated[:, :3, 3] *= 0.3
    assert absolute_trajectory_error(estimated, poses) == pytest.approx(0.0, abs=1e-12)
    assert relative_pose_error(estimated, poses) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_a_turn_of_one_degree_a_step_is_one_degree(poses):
    estimated = poses.copy()
    for k in range(len(poses)):
        estimated[k, :3, :3] = poses[k, :3, :3] @ rotation(2, 1.0 * (k % 2))
    assert relative_pose_error(estimated, poses)[1] == pytest.approx(1.0)


def test_relative_error_equals_the_definition_step_by_step(poses):
    noisy = poses.copy()
    noisy[:, :3, 3] += np.random.default_rng(0).normal(0, 0.05, (12, 3))
    from fourd_perception.geometry.alignment import umeyama

    scale = umeyama(noisy[:, :3, 3], poses[:, :3, 3]).scale
    squares = []
    for k in range(11):
        moved = invert(noisy[k]) @ noisy[k + 1]
        moved[:3, 3] *= scale
        error = invert(invert(poses[k]) @ poses[k + 1]) @ moved
        squares.append(float(error[:3, 3] @ error[:3, 3]))
    assert relative_pose_error(noisy, poses)[0] == pytest.approx(np.sqrt(np.mean(squares)))


def test_pose_errors_are_metres_and_degrees(poses):
    moved = poses @ transform(rotation(0, 0.5), [0.0, 0.003, 0.004])
    metres, degrees = pose_errors(moved, poses)
    np.testing.assert_allclose(metres, 0.005)
    np.testing.assert_allclose(degrees, 0.5)

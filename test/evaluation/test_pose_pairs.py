"""Relative poses: angles that are known by construction, and the area under their curve."""

from __future__ import annotations

from fourd_perception.evaluation.pose_pairs import (
    area_under_curve,
    NOT_FOUND,
    pair_errors,
    relative_poses,
)
from fourd_perception.geometry.poses import invert, transform
from hypothesis import given, strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

ANGLES = st.floats(0.0, 179.0)


def turned(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    vector = np.array(axis) / np.linalg.norm(axis)
    return Rotation.from_rotvec(np.radians(degrees) * vector).as_matrix()


@given(ANGLES, ANGLES, st.floats(0.01, 100.0))
def test_a_pose_that_is_off_by_known_angles_is_said_to_be(rotation, direction, length):
    truth = transform(turned((1, 2, 3), 40.0), np.array([0.3, -0.2, 0.9]))
    across = np.cross(truth[:3, 3], [1.0, 0.0, 0.0])
    moved = length * turned(tuple(across), direction) @ truth[:3, 3]
    estimate = transform(truth[:3, :3] @ turned((-1, 0.5, 2), rotation), moved)
    errors = pair_errors(estimate[None], truth[None])[0]
    assert errors == pytest.approx([rotation, direction], abs=1e-5)


def test_a_direction_backwards_is_all_wrong_and_what_was_not_found_too():
    truth = transform(np.eye(3), np.array([0.0, 0.0, 1.0]))
    backwards = transform(np.eye(3), np.array([0.0, 0.0, -1.0]))
    nowhere = transform(np.eye(3), np.zeros(3))
    found = pair_errors(
        np.stack([backwards, np.full((4, 4), np.nan), nowhere]), np.stack([truth] * 3)
    )
    np.testing.assert_allclose(found, [[0.0, 180.0], [NOT_FOUND, NOT_FOUND], [0.0, 90.0]])


def test_relative_poses_take_points_of_the_older_camera_to_the_newer():
    world_from_camera = np.stack(
        [transform(turned((0, 1, 0), 10.0 * i), np.array([i, 0.5 * i, 0.0])) for i in range(3)]
    )
    point = np.array([0.3, 0.1, 4.0, 1.0])
    world = world_from_camera[1] @ point
    newer_from_older = relative_poses(world_from_camera)
    assert newer_from_older.shape == (2, 4, 4)
    np.testing.assert_allclose(newer_from_older[1] @ point, invert(world_from_camera[2]) @ world)


@given(st.lists(st.floats(0.0, 180.0), min_size=1, max_size=30))
def test_the_area_is_the_mean_share_over_many_thresholds(errors):
    thresholds = np.linspace(0.0, 30.0, 3_001)
    shares = [(np.array(errors) <= limit).mean() for limit in thresholds]
    assert area_under_curve(np.array(errors)) == pytest.approx(100 * np.mean(shares), abs=0.1)


def test_the_area_of_good_half_good_and_no_poses():
    assert area_under_curve(np.zeros(4)) == 100.0
    assert area_under_curve(np.array([15.0])) == 50.0
    assert area_under_curve(np.array([31.0])) == 0.0
    assert np.isnan(area_under_curve(np.empty(0)))

"""Rigid transforms: inverse, rotation angle, quaternions, means, interpolation."""

from fourd_perception.geometry.poses import (
    interpolate_pose,
    invert,
    mean_rotation,
    nearest_rotation,
    quaternion_from_rotation,
    rotation_angle,
    rotation_from_quaternion,
    transform,
)
from hypothesis import assume, given, strategies as st
import numpy as np
import pytest

coordinates = st.floats(-100, 100)
vectors = st.tuples(coordinates, coordinates, coordinates).map(np.array)
# Angles crowd where formulas break: at zero and at half a turn.
angles = st.one_of(
    st.floats(0, np.pi),
    st.sampled_from([0.0, 1e-12, 1e-8, 1e-4, np.pi - 1e-4, np.pi - 1e-8, np.pi]),
)
components = st.floats(-1, 1)
axes = (
    st.tuples(components, components, components)
    .map(np.array)
    .filter(lambda a: np.linalg.norm(a) > 0.1)
)


def rotation_about(axis, angle):
    """Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


rotations = st.builds(rotation_about, axes, angles)
poses = st.builds(transform, rotations, vectors)


@given(poses, poses)
def test_the_inverse_of_a_product_is_the_product_of_the_inverses(a, b):
    np.testing.assert_allclose(invert(a) @ a, np.eye(4), atol=1e-11)
    np.testing.assert_allclose(invert(a @ b), invert(b) @ invert(a), atol=1e-10)


@given(axes, angles)
def test_the_angle_of_a_rotation_is_exact_also_near_zero_and_half_a_turn(axis, angle):
    assert rotation_angle(rotation_about(axis, angle)) == pytest.approx(angle, abs=2e-8)
    if angle < 1e-3:
        assert rotation_angle(rotation_about(axis, angle)) == pytest.approx(angle, abs=1e-14)


@given(rotations)
def test_quaternions_lead_back_to_their_rotation(rotation):
    quaternion = quaternion_from_rotation(rotation)
    assert np.linalg.norm(quaternion) == pytest.approx(1.0, abs=1e-12)
    assert quaternion[3] >= 0
    np.testing.assert_allclose(rotation_from_quaternion(quaternion), rotation, atol=1e-12)
    np.testing.assert_allclose(rotation_from_quaternion(-3 * quaternion), rotation, atol=1e-12)


def test_a_quarter_turn_about_z_is_the_quaternion_of_the_textbook():
    half = np.sqrt(0.5)
    quarter = rotation_about(np.array([0, 0, 1.0]), np.pi / 2)
    np.testing.assert_allclose(quaternion_from_rotation(quarter), [0, 0, half, half], atol=1e-15)


@pytest.mark.parametrize('quaternion', [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1)])
def test_what_is_no_quaternion_is_refused(quaternion):
    with pytest.raises(ValueError, match='norm'):
        rotation_from_quaternion(quaternion)


@given(rotations, axes, st.floats(0, 0.3))
def test_the_mean_of_two_rotations_lies_half_way(rotation, axis, angle):
    other = rotation @ rotation_about(axis, angle)
    middle = rotation @ rotation_about(axis, angle / 2)
    np.testing.assert_allclose(mean_rotation(np.stack([rotation, other])), middle, atol=1e-12)


@given(rotations, st.floats(0.1, 10))
def test_the_nearest_rotation_of_a_scaled_rotation_is_itself(rotation, scale):
    np.testing.assert_allclose(nearest_rotation(scale * rotation), rotation, atol=1e-12)


def test_the_nearest_rotation_is_never_a_mirror():
    assert np.linalg.det(nearest_rotation(np.diag([1.0, 1.0, -0.1]))) == pytest.approx(1.0)


@given(poses, axes, st.floats(0, 3.1), vectors, st.floats(-0.5, 1.5))
def test_interpolation_turns_and_moves_evenly(start, axis, angle, shift, fraction):
    assume(angle * 1.5 < np.pi)

    def at(part):
        turned = start[:3, :3] @ rotation_about(axis, part * angle)
        return transform(turned, start[:3, 3] + part * shift)

    between = interpolate_pose(at(0.0), at(1.0), fraction)
    np.testing.assert_allclose(between, at(fraction), atol=1e-9)

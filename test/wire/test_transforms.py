"""Transforms, poses and odometry."""

from fourd_perception.bag.types import BagTypes
from fourd_perception.geometry.poses import (
    quaternion_from_rotation,
    rotation_from_quaternion,
    transform,
)
from fourd_perception.wire.transforms import (
    body_twist,
    Edge,
    edges_of,
    odometry_message,
    path_message,
    pose_matrix,
    pose_message,
    StampedPose,
    tf_message,
)
from hypothesis import given, strategies as st
import numpy as np
import pytest

TYPES = BagTypes()
SECOND = 1_000_000_000
numbers = st.floats(-3, 3).map(lambda x: round(x, 6))
vectors = st.tuples(numbers, numbers, numbers)
# Less than half a turn: beyond, the shorter way round is another motion.
turns = st.tuples(*[st.floats(-1.7, 1.7).map(lambda x: round(x, 6))] * 3)


def pose(axis_angle, translation) -> np.ndarray:
    """[4, 4] by Rodrigues' formula, written out."""
    angle = float(np.linalg.norm(axis_angle))
    x, y, z = np.array(axis_angle) / (angle or 1.0)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return transform(rotation, np.array(translation))


@given(vectors, vectors)
def test_an_edge_comes_back_as_it_went(axis_angle, translation):
    edge = Edge('map', 'camera', pose(axis_angle, translation), 1_700_000_000_123_456_789)
    (back,) = edges_of(tf_message(TYPES, [edge]))
    assert (back.parent, back.child, back.stamp) == (edge.parent, edge.child, edge.stamp)
    np.testing.assert_allclose(back.parent_from_child, edge.parent_from_child, atol=1e-12)


def test_leading_slashes_of_frames_are_dropped():
    (edge,) = edges_of(tf_message(TYPES, [Edge('/map', '/base', np.eye(4), 1)]))
    assert (edge.parent, edge.child) == ('map', 'base')


def test_a_quaternion_that_is_no_rotation_is_refused_with_both_frames():
    message = tf_message(TYPES, [Edge('map', 'base', np.eye(4), 1)])
    message.transforms[0].transform.rotation.w = 0.0
    with pytest.raises(ValueError, match='map -> base: .*norm 0'):
        edges_of(message)


def test_a_pose_is_that_of_the_body_in_the_frame_of_the_header():
    quarter_left = pose((0, 0, np.pi / 2), (1.0, 2.0, 3.0))
    message = pose_message(TYPES, 7, 'map', quarter_left)
    assert message.header.frame_id == 'map' and message.header.stamp.nanosec == 7
    q, p = message.pose.orientation, message.pose.position
    half = np.sqrt(0.5)
    np.testing.assert_allclose([q.x, q.y, q.z, q.w, p.x, p.y, p.z], [0, 0, half, half, 1, 2, 3])
    path = path_message(TYPES, 9, 'map', [message])
    np.testing.assert_allclose(pose_matrix(path.poses[0].pose), quarter_left, atol=1e-15)


def test_a_car_on_a_circle_drives_straight_ahead_in_its_own_frame():
    # 2 m/s on a circle of 4 m radius, to the left: always forward, half a radian a second.
    def car(seconds):
        turn = 0.5 * seconds
        return pose((0, 0, turn), (4 * np.sin(turn), 4 - 4 * np.cos(turn), 0))

    twist = body_twist(car(1.0), car(1.5), 0.5)
    np.testing.assert_allclose(twist, [2, 0, 0, 0, 0, 0.5], atol=1e-12)


@given(vectors, vectors, turns, vectors, st.sampled_from([1e-9, 1e-3, 0.5, 1.0]))
def test_a_constant_twist_integrates_to_the_motion_it_was_taken_from(a, b, spin, speed, share):
    """Against the slow way: many small steps of the twist."""
    spin = np.array(spin) * share
    steps = 4000
    old, step = pose(a, b), pose(spin / steps, np.array(speed) / steps)
    new = old @ np.linalg.matrix_power(step, steps)
    twist = body_twist(old, new, 1.0)
    np.testing.assert_allclose(twist[3:], spin, atol=1e-6)
    np.testing.assert_allclose(twist[:3], speed, atol=4e-3)


def test_odometry_says_where_it_is_and_how_it_moves():
    old = StampedPose(1 * SECOND, pose((0, 0, np.pi / 2), (0, 0, 0)), np.eye(6) * 1e-4)
    # Heading along y of the world, 1 m further along y after half a second: forward at 2 m/s.
    covariance = np.diag([1.0, 2, 3, 4, 5, 6]) * 1e-4
    new = StampedPose(SECOND + SECOND // 2, pose((0, 0, np.pi / 2), (0, 1, 0)), covariance)
    message = odometry_message(TYPES, 'world', 'base_link', new, old)
    assert (message.header.frame_id, message.child_frame_id) == ('world', 'base_link')
    twist = message.twist.twist
    np.testing.assert_allclose(
        [twist.linear.x, twist.linear.y, twist.linear.z], [2, 0, 0], atol=1e-12
    )
    assert message.pose.covariance.reshape(6, 6).tolist() == covariance.tolist()


def test_errors_of_two_poses_add_up_in_the_child_frame():
    # x of the child is y of the world, its y is z, its z is x.
    child = pose(np.full(3, 2 * np.pi / 3 / np.sqrt(3)), (0, 0, 0))
    np.testing.assert_allclose(child[:3, 0], [0, 1, 0], atol=1e-12)
    old = StampedPose(1 * SECOND, child, np.eye(6) * 1e-4)
    new = StampedPose(SECOND + SECOND // 2, child, np.diag([1.0, 2, 3, 4, 5, 6]) * 1e-4)
    message = odometry_message(TYPES, 'world', 'base_link', new, old)
    variances = np.diag(message.twist.covariance.reshape(6, 6))
    wanted = 4e-4 * (1 + np.array([2, 3, 1, 5, 6, 4]))
    np.testing.assert_allclose(variances, wanted, rtol=1e-9)


def test_what_is_not_known_does_not_look_known():
    message = odometry_message(TYPES, 'w', 'b', StampedPose(SECOND, np.eye(4)), None)
    for field in (message.pose, message.twist):
        assert (np.diag(field.covariance.reshape(6, 6)) >= 1e6).all()
    same = StampedPose(SECOND, np.eye(4), np.eye(6))
    again = odometry_message(TYPES, 'w', 'b', same, same)
    assert again.twist.twist.linear.x == 0.0 and again.twist.covariance[0] >= 1e6


@given(vectors)
def test_our_quaternions_agree_with_tf_transformations(axis_angle):
    """The conversions of ROS users, where they are installed."""
    pytest.importorskip('transforms3d', reason='tf_transformations needs transforms3d')
    reference = pytest.importorskip('tf_transformations', reason='comes with a ROS distribution')
    matrix = pose(axis_angle, (0, 0, 0))
    theirs = np.array(reference.quaternion_from_matrix(matrix))
    ours = quaternion_from_rotation(matrix[:3, :3])
    assert min(np.abs(ours - theirs).max(), np.abs(ours + theirs).max()) < 1e-9
    np.testing.assert_allclose(rotation_from_quaternion(theirs), matrix[:3, :3], atol=1e-9)

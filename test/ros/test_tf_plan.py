"""What may be broadcast, by who owns the frames: never a second parent, never a loop."""

from fourd_perception.geometry.transform_tree import TransformTree
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.tf_buffer import TfBuffer
from fourd_perception.ros.tf_plan import conflict, plan_tf
from fourd_perception.wire.transforms import Edge
import numpy as np
import pytest

CAMERAS = {'front': 'front_optical', 'left': 'left_optical'}
RIG = [('base_link', 'front_optical'), ('base_link', 'left_optical')]


def tree_of(edges):
    """A tree of (parent, child) pairs."""
    tree = TransformTree()
    for parent, child in edges:
        tree.set(parent, child, np.eye(4), 0, static=True)
    return tree


def settings(**params):
    """Settings of two cameras; a double underscore stands for the dot."""
    named = {name.replace('__', '.'): value for name, value in params.items()}
    return Settings.from_values({'cameras': list(CAMERAS)} | named)


@pytest.mark.parametrize(
    ('edges', 'mode', 'frames'),
    [
        (RIG, 'base', ('base_link',)),
        ([*RIG, ('odom', 'base_link')], 'odom', ('odom',)),
        ([*RIG, ('odom', 'base_link'), ('map', 'odom')], 'odom', ('map',)),
        ([], 'cameras', ('front_optical', 'left_optical')),
        ([('elsewhere', 'base_link')], 'cameras', ('front_optical', 'left_optical')),
    ],
)
def test_auto_looks_at_who_owns_the_frames(edges, mode, frames):
    plan = plan_tf(settings(), CAMERAS, tree_of(edges))
    assert (plan.mode, plan.frames, plan.error) == (mode, frames, False)


def test_auto_does_nothing_where_only_some_cameras_are_connected():
    plan = plan_tf(settings(), CAMERAS, tree_of(RIG[:1]))
    assert plan.mode == 'none'
    assert 'left_optical not connected to base_link' in plan.reason


@pytest.mark.parametrize(
    ('params', 'edges', 'word'),
    [
        ({'tf__mode': 'base'}, [*RIG, ('odom', 'base_link')], 'base_link has the parent odom'),
        ({'tf__mode': 'cameras'}, RIG, 'front_optical has the parent base_link'),
        ({'tf__invert': True}, [*RIG, ('map', 'fourd_world')], 'fourd_world has the parent map'),
        ({'tf__invert': True}, [], 'would give fourd_world 2 parents'),
        ({}, [*RIG, ('fourd_world', 'odom'), ('odom', 'base_link')], 'frames.world'),
    ],
)
def test_a_second_parent_is_refused_with_the_reason(params, edges, word):
    plan = plan_tf(settings(**params), CAMERAS, tree_of(edges))
    assert (plan.mode, plan.error) == ('none', True)
    assert word in plan.reason


def test_inverted_the_world_is_the_child_and_the_base_may_have_a_parent():
    plan = plan_tf(settings(tf__invert=True, tf__mode='base'), CAMERAS, tree_of(RIG))
    assert (plan.mode, plan.frames) == ('base', ('base_link',))


def test_nothing_is_broadcast_in_a_fixed_frame():
    plan = plan_tf(settings(frames__fixed='lab'), CAMERAS, tree_of([]))
    assert (plan.mode, plan.error) == ('none', False)


def test_images_without_a_frame_cannot_be_broadcast():
    plan = plan_tf(settings(), {'front': ''}, tree_of([]))
    assert 'images of front have no frame_id' in plan.reason


def test_a_parent_that_appears_later_stops_the_broadcast():
    tree = tree_of(RIG)
    plan = plan_tf(settings(), CAMERAS, tree)
    assert conflict(plan, settings(), tree) is None
    tree.set('odom', 'base_link', np.eye(4), 0, static=False)
    stopped = conflict(plan, settings(), tree)
    assert stopped.error
    assert 'base_link has the parent odom' in stopped.reason


def edge(parent, child, stamp=7, x=0.0):
    """A transform that moves along x."""
    pose = np.eye(4)
    pose[0, 3] = x
    return Edge(parent, child, pose, stamp)


def test_own_transforms_are_not_taken_for_those_of_others():
    buffer, own = TfBuffer(), edge('fourd_world', 'base_link', x=1.0)
    buffer.sending([own])
    buffer.receive([own], static=False)
    assert buffer.tree.parent_of('base_link') is None
    # The same again comes from a recording of ours that somebody plays.
    buffer.receive([own], static=False)
    assert buffer.tree.parent_of('base_link') == 'fourd_world'


def test_static_transforms_outlive_a_jump_and_moving_ones_do_not():
    buffer = TfBuffer()
    buffer.receive([edge('base_link', 'front_optical', x=2.0)], static=True)
    buffer.receive([edge('odom', 'base_link')], static=False)
    buffer.restart()
    assert buffer.tree.lookup('base_link', 'front_optical')[0, 3] == 2.0
    assert buffer.tree.parent_of('base_link') is None


def test_a_transform_that_cannot_be_taken_is_told_of():
    buffer = TfBuffer()
    buffer.receive([edge('a', 'b'), edge('b', 'a')], static=True)
    assert "'b' cannot be the parent of 'a'" in buffer.fault

"""The tree of frames: chains, times, and words for what is missing."""

from fourd_perception.geometry.poses import interpolate_pose, invert, nearest_rotation, transform
from fourd_perception.geometry.transform_tree import HISTORY, TransformError, TransformTree
from hypothesis import given, strategies as st
import numpy as np
import pytest

START = 1_700_000_000_123_456_789


def pose(seed):
    rng = np.random.default_rng(seed)
    return transform(nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_any_two_frames_of_a_tree_are_connected_by_their_chains(choices, seed):
    """Frame n hangs below a random older frame; its pose in the root is the plain product."""
    tree, root_from = TransformTree(), {'f0': np.eye(4)}
    for n, choice in enumerate(choices, start=1):
        parent = f'f{choice % n}'
        step = pose(seed + n)
        tree.set(parent, f'f{n}', step, START, static=n % 2 == 0)
        root_from[f'f{n}'] = root_from[parent] @ step
    for target in root_from:
        for source in root_from:
            expected = invert(root_from[target]) @ root_from[source]
            np.testing.assert_allclose(tree.lookup(target, source, START), expected, atol=1e-9)
            np.testing.assert_allclose(tree.lookup(target, source), expected, atol=1e-9)
        assert tree.root_of(target) == 'f0'
    assert tree.frames == frozenset(root_from)


@given(st.permutations(range(6)), st.integers(0, 500_000_000))
def test_a_moving_frame_is_interpolated_whatever_the_order_of_arrival(order, offset):
    tree = TransformTree()
    for n in order:
        tree.set('map', 'base', pose(n), START + n * 100_000_000, static=False)
    before, fraction = divmod(offset, 100_000_000)
    expected = pose(before)
    if fraction:
        expected = interpolate_pose(pose(before), pose(before + 1), fraction / 1e8)
    np.testing.assert_allclose(tree.lookup('map', 'base', START + offset), expected, atol=1e-9)


def test_one_nanosecond_apart_is_not_the_same_time():
    """A stamp that had passed through a float would not tell these two apart."""
    tree = TransformTree()
    tree.set('map', 'base', pose(0), START, static=False)
    tree.set('map', 'base', pose(1), START + 1, static=False)
    np.testing.assert_array_equal(tree.lookup('map', 'base', START), pose(0))
    np.testing.assert_array_equal(tree.lookup('map', 'base', START + 1), pose(1))


@pytest.mark.parametrize('offset, words', [(-1, 'before the oldest'), (1, 'after the newest')])
def test_a_time_that_is_not_covered_is_told_never_extrapolated(offset, words):
    tree = TransformTree()
    tree.set('map', 'base', pose(0), START, static=False)
    with pytest.raises(TransformError, match=f"'map' from 'base'.*{words}"):
        tree.lookup('map', 'base', START + offset * 250_000_000)


def test_a_static_transform_holds_at_all_times():
    tree = TransformTree()
    tree.set('base', 'camera', pose(0), 0, static=True)
    np.testing.assert_array_equal(tree.lookup('base', 'camera', START), pose(0))


def test_frames_that_are_unknown_or_apart_are_named():
    tree = TransformTree()
    tree.set('odom', 'base', pose(0), START, static=True)
    tree.set('rig', 'left', pose(1), START, static=True)
    with pytest.raises(TransformError, match="no transform names the frame 'nowhere'"):
        tree.lookup('base', 'nowhere', START)
    with pytest.raises(TransformError, match="not connected.*'odom'.*'rig'"):
        tree.lookup('base', 'left', START)


def test_a_frame_has_one_parent_and_the_newest_word_counts():
    tree = TransformTree()
    tree.set('a', 'c', pose(0), START, static=True)
    tree.set('b', 'c', pose(1), START, static=True)
    assert tree.parent_of('c') == 'b'
    with pytest.raises(TransformError):
        tree.lookup('a', 'c', START)


def test_a_loop_is_refused():
    tree = TransformTree()
    tree.set('a', 'b', pose(0), START, static=True)
    tree.set('b', 'c', pose(1), START, static=True)
    with pytest.raises(TransformError, match='hangs below it'):
        tree.set('c', 'a', pose(2), START, static=True)
    with pytest.raises(TransformError, match='hangs below it'):
        tree.set('a', 'a', pose(2), START, static=True)


def test_memory_is_bounded_and_the_oldest_goes_first():
    tree = TransformTree()
    for n in range(HISTORY + 5):
        tree.set('map', 'base', np.eye(4), START + n, static=False)
    tree.lookup('map', 'base', START + 5)
    with pytest.raises(TransformError, match='before the oldest'):
        tree.lookup('map', 'base', START + 4)


def test_after_clear_nothing_is_known():
    tree = TransformTree()
    tree.set('a', 'b', pose(0), START, static=True)
    tree.clear()
    assert not tree.frames
    assert tree.parent_of('b') is None
    assert tree.root_of('b') == 'b'

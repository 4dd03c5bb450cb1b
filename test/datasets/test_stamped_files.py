"""Stamps that belong together, and poses between the rows of a trajectory."""

from __future__ import annotations

from pathlib import Path

from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.stamped_files import associate, read_stamped_files, Trajectory
from hypothesis import given, strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

# Stamps of one recording, in milliseconds: exact, so that ties are ties.
stamps = st.lists(st.integers(0, 300), max_size=12, unique=True).map(sorted)


def plain_greedy(first: list[int], second: list[int], limit: int) -> list[tuple[int, int]]:
    """Take the nearest pair, remove both, begin anew."""
    pairs: list[tuple[int, int]] = []
    left, right = set(range(len(first))), set(range(len(second)))
    while left and right:
        distance, i, j = min((abs(first[i] - second[j]), i, j) for i in left for j in right)
        if distance > limit:
            break
        pairs.append((i, j))
        left.remove(i)
        right.remove(j)
    return sorted(pairs)


@given(stamps, stamps)
def test_association_is_greedy_best_first(first: list[int], second: list[int]) -> None:
    pairs = associate(np.array(first, float), np.array(second, float), limit=20.0)
    assert [tuple(pair) for pair in pairs.tolist()] == plain_greedy(first, second, 20)


def test_nearest_stamp_is_not_given_twice() -> None:
    # Both images are nearest to depth 1; the second one is nearer, the first takes depth 0.
    pairs = associate(np.array([0.010, 0.013]), np.array([0.0, 0.014]))
    assert pairs.tolist() == [[0, 0], [1, 1]]


def turning(stamps_seconds: np.ndarray) -> Trajectory:
    """A camera that moves along x at 1 m/s and turns about y at 1 rad/s."""
    angles = stamps_seconds[:, None] * [0.0, 1.0, 0.0]
    quaternions = Rotation.from_rotvec(angles).as_quat()
    zeros = np.zeros((len(stamps_seconds), 2))
    return Trajectory(np.column_stack([stamps_seconds, stamps_seconds, zeros, quaternions]))


@given(st.floats(0.0, 1.0))
def test_pose_between_rows_is_where_the_camera_was(seconds: float) -> None:
    pose = turning(np.linspace(0.0, 1.0, 101)).pose(seconds)
    assert pose is not None
    # At most 1 ms from a row, that row's.
    np.testing.assert_allclose(pose[:3, 3], [seconds, 0, 0], atol=1.001e-3)
    expected = Rotation.from_rotvec([0, seconds, 0]).as_matrix()
    np.testing.assert_allclose(pose[:3, :3], expected, atol=1.001e-3)
    off_row = abs(seconds * 100 - round(seconds * 100)) > 0.11
    if off_row:
        np.testing.assert_allclose(pose[:3, 3], [seconds, 0, 0], atol=1e-9)
        np.testing.assert_allclose(pose[:3, :3], expected, atol=1e-9)


@pytest.mark.parametrize(
    ('seconds', 'known'),
    [
        (0.10, True),
        (0.105, False),  # the next row is 0.1 s away: a gap
        (0.15, False),
        (0.2, True),
        (0.2199, True),  # rows 0.04 s apart, one within 0.02 s
        (-0.005, False),  # before the first row
        (0.2605, True),  # 0.5 ms after the last row
        (0.265, False),
    ],
)
def test_no_pose_across_a_gap_or_beyond_the_ends(seconds: float, known: bool) -> None:
    rows = turning(np.array([0.0, 0.05, 0.1, 0.2, 0.24, 0.26]))
    assert (rows.pose(seconds) is not None) == known


def test_rows_too_far_on_both_sides_tell_nothing() -> None:
    rows = turning(np.array([0.0, 0.05]))
    assert rows.pose(0.025) is None
    assert rows.pose(0.018) is not None


def test_lists_in_any_order_with_comments(tmp_path: Path) -> None:
    path = tmp_path / 'rgb.txt'
    path.write_text('# color images\n2.5 rgb/b.png\n\n1.5 rgb/a.png\n')
    seconds, files = read_stamped_files(path)
    assert seconds.tolist() == [1.5, 2.5]
    assert files == (tmp_path / 'rgb/a.png', tmp_path / 'rgb/b.png')


def test_rows_in_any_order(tmp_path: Path) -> None:
    rows = turning(np.array([0.0, 0.02, 0.04])).rows
    np.savetxt(tmp_path / 'groundtruth.txt', rows[[2, 0, 1]])
    pose = Trajectory.read(tmp_path / 'groundtruth.txt').pose(0.03)
    assert pose is not None
    np.testing.assert_allclose(pose[:3, 3], [0.03, 0, 0], atol=1e-9)


@pytest.mark.parametrize('text', ['', '# nothing\n', 'one rgb/a.png\n', '1.0\n'])
def test_bad_list_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'rgb.txt'
    path.write_text(text)
    with pytest.raises(DataSetError, match=r'rgb\.txt'):
        read_stamped_files(path)


@pytest.mark.parametrize('row', ['1 0 0 0 0 0 0 0', '1 0 0 nan 0 0 0 1', '1 0 0 0 0 0 1'])
def test_bad_trajectory_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / 'groundtruth.txt'
    path.write_text(f'# stamp tx ty tz qx qy qz qw\n{row}\n')
    with pytest.raises(DataSetError, match=r'groundtruth\.txt'):
        Trajectory.read(path)

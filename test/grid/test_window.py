"""The sliding window and the grid that it makes."""

from __future__ import annotations

from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.visual_grid import MISSING_STAMP, VisualGrid
from fourd_perception.grid.window import SlidingWindow
from hypothesis import given, strategies as st
import numpy as np
import pytest

MS = 1_000_000
STAMP_0 = 1_700_000_000_123_456_789


def slice_at(ms: int, present: str = 'ab', reference: str | None = None) -> TimeSlice:
    """Of a rig of a, b and c; the frames of `b` are 1 ms, those of `c` 2 ms behind `a`."""
    frames = tuple(
        Frame(camera, STAMP_0 + (ms + i) * MS, None) if camera in present else None
        for i, camera in enumerate('abc')
    )
    return TimeSlice(tuple('abc'), frames, reference or present[0])


def stamps(grid: VisualGrid) -> list[int]:
    return [(s.stamp - STAMP_0) // MS for s in grid.slices]


def test_consecutive_windows_share_all_but_one_slice():
    window = SlidingWindow(3)
    grids = [window.push(slice_at(k)) for k in range(0, 500, 100)]
    assert [stamps(grid) for grid in grids] == [
        [0],
        [0, 100],
        [0, 100, 200],
        [100, 200, 300],
        [200, 300, 400],
    ]
    assert window.fill == 3
    assert grids[3].slices[1:] == grids[4].slices[:2], 'the very same slices'


@given(
    st.integers(1, 5),
    st.lists(st.integers(0, 1500), max_size=20),
    st.sampled_from([0.0, 0.1, 0.25]),
)
def test_a_window_holds_the_newest_admitted_slices_without_a_gap(length, gaps, min_interval):
    window = SlidingWindow(length, min_interval, max_gap=1.0)
    admitted: list[int] = []
    now = 0
    for gap in gaps:
        now += gap
        time_slice = slice_at(now)
        spacing = now - admitted[-1] if admitted else None
        assert window.admits(time_slice) == (
            spacing is None or (spacing > 0 and spacing >= 1000 * min_interval)
        )
        if window.admits(time_slice):
            if spacing is not None and spacing > 1000:
                admitted.clear()
            admitted.append(now)
            assert stamps(window.push(time_slice)) == admitted[-length:]
        assert window.fill == min(len(admitted), length)


def test_the_least_spacing_is_met_to_the_nanosecond():
    window = SlidingWindow(2, min_interval=0.1)
    window.push(slice_at(0))
    frame = Frame('a', STAMP_0 + 100 * MS - 1, None)
    almost = TimeSlice(('a', 'b', 'c'), (frame, None, None), 'a')
    assert not window.admits(almost)
    assert window.admits(slice_at(100))


def test_a_gap_empties_the_window():
    window = SlidingWindow(4, max_gap=1.0)
    for k in (0, 100, 1100):
        grid = window.push(slice_at(k))
    assert stamps(grid) == [0, 100, 1100], 'as long as the largest gap is none'
    assert stamps(window.push(slice_at(2101))) == [2101]


def test_time_that_runs_backwards_starts_the_window_anew():
    window = SlidingWindow(4, min_interval=0.5)
    window.push(slice_at(5000))
    assert window.admits(slice_at(0))
    assert stamps(window.push(slice_at(0))) == [0]


def test_clear_forgets_everything():
    window = SlidingWindow(4, min_interval=0.5)
    window.push(slice_at(0))
    window.clear()
    assert window.fill == 0
    assert window.admits(slice_at(1))
    assert stamps(window.push(slice_at(1))) == [1]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((0,), 'window of 0 slices'),
        ((4, -0.1), 'min_interval -0.1 s'),
        ((4, 2.0, 1.0), r'min_interval 2.0 s .*max_gap 1.0 s'),
    ],
)
def test_windows_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindow(*arguments)


# The grid.


def test_a_grid_knows_its_cells():
    grid = VisualGrid((slice_at(0, 'ab'), slice_at(100, 'bc'), slice_at(200, 'a')))
    assert grid.shape == (3, 3)
    assert grid.cameras == ('a', 'b', 'c')
    np.testing.assert_array_equal(
        grid.present,
        [[True, False, True], [True, True, False], [False, True, False]],
    )
    missing = MISSING_STAMP - STAMP_0
    np.testing.assert_array_equal(
        grid.stamps - STAMP_0,
        np.array([[0, missing, 200 * MS], [MS, 101 * MS, missing], [missing, 102 * MS, missing]]),
    )
    assert grid.stamps.dtype == np.int64
    np.testing.assert_array_equal(grid.view_id, [[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(grid.time_id, [[0, 1, 2], [0, 1, 2], [0, 1, 2]])
    assert grid.frame(2, 1).stamp == STAMP_0 + 102 * MS
    assert grid.frame(2, 0) is None


@pytest.mark.parametrize(
    ('slices', 'reference'),
    [
        ((slice_at(0, 'ab'), slice_at(100, 'ab')), (0, 0)),
        # The newest slice's reference, at its oldest present cell.
        ((slice_at(0, 'bc'), slice_at(100, 'ab'), slice_at(200, 'ab')), (0, 1)),
        ((slice_at(0, 'ab'), slice_at(100, 'bc', 'b')), (1, 0)),
        ((slice_at(0, 'abc', 'c'), slice_at(100, 'abc', 'c')), (2, 0)),
    ],
)
def test_the_reference_cell_is_the_oldest_of_the_reference_camera(slices, reference):
    assert VisualGrid(slices).reference == reference


def test_slices_of_different_rigs_make_no_grid():
    other = TimeSlice(('a',), (Frame('a', STAMP_0, None),), 'a')
    with pytest.raises(ValueError, match='same cameras'):
        VisualGrid((slice_at(0), other))
    with pytest.raises(ValueError, match='at least one'):
        VisualGrid(())


def test_a_slice_without_a_camera_hands_the_reference_on():
    time_slice = slice_at(0, 'abc')
    rest = time_slice.without({'a'})
    assert rest.reference == 'b' and [f.camera for f in rest] == ['b', 'c']
    assert time_slice.without({'c'}).reference == 'a'
    assert time_slice.without({'a', 'b', 'c'}) is None
    with pytest.raises(ValueError, match="reference camera 'c'"):
        slice_at(0, 'ab', 'c')

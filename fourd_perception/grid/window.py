"""The sliding window: the last T slices that were taken for inference."""

from __future__ import annotations

from collections import deque

from fourd_perception.grid.frame import NANOSECONDS, TimeSlice
from fourd_perception.grid.visual_grid import VisualGrid


class SlidingWindow:
    """Makes a `VisualGrid` of each admitted slice and the T-1 admitted before it.

    Belongs to the inference thread. `length` is T; `min_interval` the least spacing of slices
    and `max_gap` the largest, seconds between reference stamps. The window starts anew where the
    gap is larger, and where time ran backwards.
    """

    def __init__(self, length: int, min_interval: float = 0.0, max_gap: float = 1.0) -> None:
        if length < 1:
            raise ValueError(f'a window of {length} slices is empty; window length is at least 1')
        if not 0 <= min_interval <= max_gap:
            raise ValueError(
                f'window.min_interval {min_interval} s must lie between 0 and '
                f'window.max_gap {max_gap} s, else no two slices ever share a window'
            )
        self._slices: deque[TimeSlice] = deque(maxlen=length)
        self._min_interval = round(min_interval * NANOSECONDS)
        self._max_gap = round(max_gap * NANOSECONDS)

    @property
    def fill(self) -> int:
        """Number of slices in the window."""
        return len(self._slices)

    def admits(self, time_slice: TimeSlice) -> bool:
        """Whether the slice is far enough from the newest: pushed if so, `overwritten` if not.

        A slice of the same instant never is; one of an earlier instant is, for only a jump of
        time brings it, and it starts the window anew.
        """
        gap = self._gap(time_slice)
        return gap is None or gap < 0 or (gap > 0 and gap >= self._min_interval)

    def push(self, time_slice: TimeSlice) -> VisualGrid:
        """Take an admitted slice in, the oldest out, and return the grid, oldest slice first."""
        gap = self._gap(time_slice)
        if gap is not None and not 0 <= gap <= self._max_gap:
            self.clear()
        self._slices.append(time_slice)
        return VisualGrid(tuple(self._slices))

    def clear(self) -> None:
        """Forget all slices; the next grid has one column."""
        self._slices.clear()

    def _gap(self, time_slice: TimeSlice) -> int | None:
        """Nanoseconds from the newest slice to this one; None when the window is empty."""
        return time_slice.stamp - self._slices[-1].stamp if self._slices else None

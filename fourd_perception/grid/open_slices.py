"""Which frame belongs to which slice, and when a slice has all that it can get."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from fourd_perception.grid.camera_track import CameraTrack
from fourd_perception.grid.frame import Frame, TimeSlice


@dataclass(frozen=True, slots=True)
class OpenSlice:
    """A slice that waits for its cameras: the reference's frame, and when it came."""

    head: Frame
    opened_at: int


class Place(Enum):
    """Where a frame belongs, as far as the reference stamps known so far can tell."""

    OPEN = 'the nearest slice is within the tolerance and open'
    CLOSED = 'the nearest slice is within the tolerance and closed'
    NOWHERE = 'no slice is within the tolerance, and none will be'
    LATER = 'the next reference stamp decides'


class OpenSlices:
    """The open slices in stamp order, and the last one closed.

    Frames stay in their camera's `waiting` until their slice closes, for until then a later
    reference stamp may turn out to be nearer. Of several frames of one camera that belong to one
    slice the nearest joins.
    """

    def __init__(self, tracks: Mapping[str, CameraTrack]) -> None:
        self._tracks = tracks
        self._open: list[OpenSlice] = []
        # Reference stamps: of the last closed slice, once there is one, then of the open ones.
        self._stamps: list[int] = []
        self._last_cameras: frozenset[str] | None = None
        self._last_reference = ''

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenSlice]:
        """Oldest first."""
        return iter(self._open)

    @property
    def oldest(self) -> OpenSlice:
        """The slice that closes next."""
        return self._open[0]

    @property
    def newest_stamp(self) -> int | None:
        """Reference stamp of the newest slice, open or closed."""
        return self._stamps[-1] if self._stamps else None

    def opens(self, reference: CameraTrack, stamp: int) -> bool:
        """Whether a frame of the reference opens a slice of its own.

        Every newer one does, except just after it took the role over: then its frames may still
        belong to slices of the camera that had the role before.
        """
        newest = self.newest_stamp
        if newest is None:
            return True
        own = self._last_reference == reference.name
        return stamp > newest + (0 if own else reference.tolerance)

    def open(self, head: Frame, now: int) -> None:
        """Open a slice around a frame of the reference."""
        self._open.append(OpenSlice(head, now))
        self._stamps.append(head.stamp)
        self._last_reference = head.camera

    def place(self, track: CameraTrack, stamp: int, reference: CameraTrack) -> Place:
        """Where a frame of a camera belongs."""
        if not self._stamps:
            return Place.LATER
        index = self._nearest(stamp)
        distance = abs(stamp - self._stamps[index])
        ahead = stamp - self._stamps[-1]
        # A frame ahead of all references is sure of the newest only where the next one is not
        # expected nearer.
        if ahead > 0 and (
            distance > track.tolerance
            or (reference.steady_period is not None and 2 * ahead > reference.steady_period)
        ):
            return Place.LATER
        if distance > track.tolerance:
            return Place.NOWHERE
        return Place.CLOSED if self._is_closed(index) else Place.OPEN

    def is_over(self, track: CameraTrack, stamp: int, reference: CameraTrack) -> bool:
        """Whether a frame that arrives now is too late: the slice that lacks it has closed."""
        if self._last_cameras is None:
            return False
        if stamp <= self._stamps[0]:
            return True
        closed = self.place(track, stamp, reference) is Place.CLOSED
        return closed and track.name not in self._last_cameras

    def is_complete(self, reference: CameraTrack) -> bool:
        """Whether every camera has joined the oldest slice, has passed it, or is dead."""
        head = self._open[0].head
        return all(
            not track.alive or track.name == head.camera or self._is_settled(track, reference)
            for track in self._tracks.values()
        )

    def rewind(self, now: int) -> None:
        """Let no slice have been opened after `now`: the clock went back."""
        self._open = [replace(s, opened_at=min(s.opened_at, now)) for s in self._open]

    def offset(self, stamp: int) -> int:
        """Nanoseconds from the nearest reference stamp to this one; needs a slice so far."""
        return stamp - self._stamps[self._nearest(stamp)]

    def close(self) -> TimeSlice:
        """Close the oldest slice, taking its frames out of `waiting`."""
        head = self._open[0].head
        frames = tuple(
            head if name == head.camera else self._take(track)
            for name, track in self._tracks.items()
        )
        self._stamps = self._stamps[self._oldest_index :]
        self._open.pop(0)
        time_slice = TimeSlice(tuple(self._tracks), frames, head.camera)
        self._last_cameras = frozenset(frame.camera for frame in time_slice)
        return time_slice

    @property
    def _oldest_index(self) -> int:
        """Index of the oldest open slice in `_stamps`."""
        return len(self._stamps) - len(self._open)

    def _is_closed(self, index: int) -> bool:
        return index < self._oldest_index

    def _nearest(self, stamp: int) -> int:
        """Index of the nearest reference stamp, the older one of two equally near."""
        right = bisect_left(self._stamps, stamp)
        if right == len(self._stamps):
            return right - 1
        if right == 0:
            return 0
        before, after = self._stamps[right - 1], self._stamps[right]
        return right - 1 if stamp - before <= after - stamp else right

    def _is_settled(self, track: CameraTrack, reference: CameraTrack) -> bool:
        """Whether a live camera can have no better frame for the oldest slice any more.

        A camera delivers in stamp order, so its newest frame tells.
        """
        if track.newest is None:
            return False
        oldest, nearest = self._oldest_index, self._nearest(track.newest)
        if nearest != oldest:
            return nearest > oldest
        offset = track.newest - self._stamps[oldest]
        if abs(offset) > track.tolerance:
            return offset > 0
        joined = bool(track.waiting) and track.waiting[-1].stamp == track.newest
        return joined and self.place(track, track.newest, reference) is Place.OPEN

    def _take(self, track: CameraTrack) -> Frame | None:
        """Take the camera's frame for the oldest slice, if it has one, out of `waiting`."""
        oldest = self._oldest_index
        stamp = self._stamps[oldest]
        candidates = [
            frame
            for frame in track.waiting
            if abs(frame.stamp - stamp) <= track.tolerance and self._nearest(frame.stamp) == oldest
        ]
        if not candidates:
            return None
        chosen = min(candidates, key=lambda frame: abs(frame.stamp - stamp))
        track.waiting.remove(chosen)
        return chosen

"""Walks a synchroniser through a stream and holds it to its contract at every step."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median_low

from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.ledger import FrameLedger, Outcome
from fourd_perception.grid.synchroniser import (
    MAX_OPEN,
    MAX_WAITING,
    SyncEvent,
    Synchroniser,
    SyncResult,
    SyncSettings,
)
from streams import Arrival, arrivals, MS, SECOND, stamp_spread, StreamPlan


class StampHistory:
    """The tolerance of a camera, computed anew from all that it delivered: the plain reference."""

    def __init__(self, slop: float) -> None:
        self.slop = round(slop * SECOND)
        self.stamps: list[int] = []

    def add(self, stamp: int) -> bool:
        """Note a stamp if it is newer than all before, and whether it is."""
        newer = not self.stamps or stamp > self.stamps[-1]
        if newer:
            self.stamps.append(stamp)
        return newer

    @property
    def tolerance(self) -> int:
        """Sync_slop, capped at half the median of the last 16 intervals once 5 are known."""
        last = self.stamps[-17:]
        intervals = [b - a for a, b in zip(last, last[1:])]
        if len(intervals) < 5:
            return self.slop
        return min(self.slop, median_low(intervals) // 2)


class Walk:
    """A synchroniser on its way through a stream, and all that came out of it.

    tells_apart: whether a tolerance is narrow enough to separate the triggers of the rig
    """

    def __init__(
        self,
        cameras: Sequence[str],
        settings: SyncSettings,
        tells_apart: Callable[[int], bool] = lambda tolerance: False,
    ) -> None:
        self.cameras, self.settings, self.tells_apart = tuple(cameras), settings, tells_apart
        self.ledger = FrameLedger(cameras)
        self.synchroniser = Synchroniser(cameras, settings, self.ledger)
        self.slices: list[TimeSlice] = []
        self.events: list[SyncEvent] = []
        self.jumps = 0
        self.received = dict.fromkeys(cameras, 0)
        self._start_epoch()

    def _start_epoch(self) -> None:
        self.last_stamp = -1
        self.joined: set[tuple[str, int]] = set()
        self.histories = {name: StampHistory(self.settings.slop) for name in self.cameras}
        self.far_behind: dict[str, int] = {}

    def poll(self, now: int) -> None:
        """Let time pass."""
        self._check(self.synchroniser.poll(now), {})

    def clear(self) -> None:
        """The clock of ROS jumped."""
        self.synchroniser.clear()
        self._start_epoch()

    def fall_silent(self, now: int) -> None:
        """Nothing comes any more: nothing may be left over."""
        self.poll(now + 3600 * SECOND)
        assert self.synchroniser.next_deadline is None
        for camera in self.cameras:
            assert self.synchroniser.buffered(camera) == 0, 'frames are left over in silence'

    def deliver(self, arrival: Arrival) -> None:
        """One frame."""
        frame = arrival.frame
        before = self.histories[frame.camera].tolerance
        self.received[frame.camera] += 1
        result = self.synchroniser.add(frame, arrival.now)
        self._check_jump(frame, result.jumped)
        if result.jumped:
            self._start_epoch()
            self.jumps += 1
        self.histories[frame.camera].add(frame.stamp)
        self._check(result, {frame.camera: before})

    def _check_jump(self, frame: Frame, jumped: bool) -> None:
        """Far behind its camera's newest twice running is a jump; not far behind any is none."""
        threshold = round(self.settings.jump_threshold * SECOND)
        newest = {name: h.stamps[-1] for name, h in self.histories.items() if h.stamps}
        before = self.far_behind.pop(frame.camera, None)
        if newest.get(frame.camera, 0) - frame.stamp > threshold:
            assert jumped or before in (None, frame.stamp), 'a jump went unnoticed'
            self.far_behind[frame.camera] = frame.stamp
        if jumped:
            assert max(newest.values()) - frame.stamp > threshold, 'a jump out of nothing'

    def _check(self, result: SyncResult, before: dict[str, int]) -> None:
        """Everything that must hold after every call."""
        self.events += result.events
        for time_slice in result.slices:
            self._check_slice(time_slice, before)
        self.slices += result.slices
        for camera in self.cameras:
            counts = self.ledger.counts(camera)
            pending = counts.pop('pending')
            assert (
                counts.pop('received') == self.received[camera] == pending + sum(counts.values())
            )
            buffered = self.synchroniser.buffered(camera)
            assert pending == buffered, f'{camera}: {pending} pending, {buffered} buffered'
            assert buffered <= MAX_OPEN + MAX_WAITING

    def _check_slice(self, time_slice: TimeSlice, before: dict[str, int]) -> None:
        assert time_slice.stamp > self.last_stamp, 'slices out of order'
        self.last_stamp = time_slice.stamp
        assert len(time_slice) >= self.settings.min_cameras
        triggers = set()
        for frame in time_slice:
            assert (frame.camera, frame.stamp) not in self.joined, 'a frame came out twice'
            self.joined.add((frame.camera, frame.stamp))
            now = self.histories[frame.camera].tolerance
            tolerance = max(now, before.get(frame.camera, now))
            assert abs(frame.stamp - time_slice.stamp) <= tolerance, 'a frame is too far away'
            if self.tells_apart(tolerance):
                triggers.add(frame.payload.trigger)
        assert len(triggers) <= 1, f'one slice mixes triggers {triggers}'
        # Whoever takes a slice settles its frames; here that is this walk.
        self.ledger.settle_frames(time_slice, Outcome.USED)


def tells_apart(plan: StreamPlan, tolerance: int) -> bool:
    """Whether a tolerance separates the triggers of a rig.

    Not so while a rig faster than the slop is not known well enough yet, nor where clocks err.
    """
    if plan.trigger is None or not plan.truthful:
        return False
    return tolerance < plan.trigger - 4 * stamp_spread(plan.trigger)


def walk_through(plan: StreamPlan, poll_every: int | None = None) -> Walk:
    """Walk through the whole stream of a plan and the silence after it."""
    walk = Walk(plan.names, plan.settings, lambda tolerance: tells_apart(plan, tolerance))
    now = None
    for arrival in arrivals(plan):
        if poll_every and now is not None:
            for time in range(now, arrival.now, poll_every):
                walk.poll(time)
        now = arrival.now
        walk.deliver(arrival)
    assert now is not None
    walk.fall_silent(now)
    return walk


def triggers_in_time(plan: StreamPlan, stream: list[Arrival]) -> set[int]:
    """Triggers of which every camera delivered its frame in time.

    In time: in stamp order, by a camera that counts as live, all of them within the timeout and
    before a camera faster than the timeout fills the slices that may stand open.
    """
    timeout = round(plan.settings.timeout * SECOND)
    camera_timeout = round(plan.settings.camera_timeout * SECOND)
    heard = dict.fromkeys(plan.names, stream[0].now)
    alive_since = dict(heard)
    histories = {name: StampHistory(plan.settings.slop) for name in plan.names}
    arrived: dict[int, dict[str, int]] = defaultdict(dict)
    nows: dict[str, list[int]] = defaultdict(list)
    for arrival in stream:
        frame, now = arrival.frame, arrival.now
        history = histories[frame.camera]
        if not history.add(frame.stamp):
            continue
        if now - heard[frame.camera] >= camera_timeout:
            alive_since[frame.camera] = now
        heard[frame.camera] = now
        nows[frame.camera].append(now)
        times = arrived[frame.payload.trigger]
        first = min(times.values(), default=now)
        if tells_apart(plan, history.tolerance) and alive_since[frame.camera] <= first:
            times[frame.camera] = now

    def in_time(first: int, last: int) -> bool:
        between = max(bisect_right(t, last) - bisect_left(t, first) for t in nows.values())
        return last - first < timeout and between <= MAX_OPEN

    return {
        trigger
        for trigger, times in arrived.items()
        if len(times) == len(plan.names) and in_time(min(times.values()), max(times.values()))
    }


def check_full_slices(plan: StreamPlan, walk: Walk) -> int:
    """A full slice of every trigger in time, and how many there were.

    Where a clock was wrong or time jumped this holds again towards the end of the calm.
    """
    if plan.trigger is None:
        return 0
    stream = arrivals(plan)
    full = {s.frame(s.reference).payload.trigger for s in walk.slices if len(s) == len(s.cameras)}
    if walk.jumps or plan.loop or plan.clock_fault or not plan.truthful:
        stream = [a for a in stream if a.frame.payload.time >= plan.chaos]
        last = plan.end - 3 * plan.period - 300 * MS
        due = {t for t in triggers_in_time(plan, stream) if t * plan.trigger > last}
    else:
        due = triggers_in_time(plan, stream)
    assert due <= full, f'triggers {sorted(due - full)} were in time but made no full slice'
    return len(due)


def check_goes_on(plan: StreamPlan, walk: Walk) -> None:
    """Whatever happened before, slices come again at the end of the calm."""
    if plan.settings.min_cameras == 1:
        last = max(s.frame(s.reference).payload.time for s in walk.slices)
        assert last >= plan.end - 2 * plan.period, 'nothing comes out any more'


def check_everything(plan: StreamPlan) -> Walk:
    """Walk through a plan with all checks."""
    walk = walk_through(plan)
    check_full_slices(plan, walk)
    check_goes_on(plan, walk)
    return walk

"""Walks a synchroniser through a stream and holds it to its contract at every step."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median_low

from fourd_perception.grid.frame import TimeSlice
from fourd_perception.grid.ledger import FrameLedger, Outcome
from fourd_perception.grid.synchroniser import (
    MAX_OPEN,
    MAX_WAITING,
    Synchroniser,
    SyncResult,
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


@dataclass
class Walk:
    """A synchroniser on its way through a stream, and all that came out of it."""

    plan: StreamPlan
    poll_every: int | None = None
    slices: list[TimeSlice] = field(default_factory=list)
    jumps: int = 0
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = self.plan.names
        self.ledger = FrameLedger(names)
        self.synchroniser = Synchroniser(names, self.plan.settings, self.ledger)
        self.received = dict.fromkeys(names, 0)
        self.handed_out: set[int] = set()
        self._start_epoch()

    def _start_epoch(self) -> None:
        slop = self.plan.settings.slop
        self.epoch: list[TimeSlice] = []
        self.epoch_stamps: set[tuple[str, int]] = set()
        self.histories = {name: StampHistory(slop) for name in self.plan.names}

    def run(self) -> Walk:
        """Through the whole stream and the silence after it."""
        now = None
        for arrival in arrivals(self.plan):
            if self.poll_every and now is not None and arrival.now > now:
                for t in range(now, arrival.now, self.poll_every):
                    self.check(self.synchroniser.poll(t))
            now = arrival.now
            self.deliver(arrival)
        assert now is not None
        self.check(self.synchroniser.poll(now + 60 * SECOND))
        assert self.synchroniser.next_deadline is None
        for name in self.plan.names:
            assert self.synchroniser.buffered(name) == 0, 'frames are left over in a silent rig'
        return self

    def deliver(self, arrival: Arrival) -> None:
        """One frame."""
        frame = arrival.frame
        before = self.histories[frame.camera].tolerance
        self.received[frame.camera] += 1
        result = self.synchroniser.add(frame, arrival.now)
        if result.jumped:
            self._start_epoch()
            self.jumps += 1
        self.histories[frame.camera].add(frame.stamp)
        self.check(result, {frame.camera: before})

    def check(self, result: SyncResult, before: dict[str, int] | None = None) -> None:
        """Everything that must hold after every call."""
        self.events += [event.kind for event in result.events]
        for time_slice in result.slices:
            self._check_slice(time_slice, before or {})
        self.slices += result.slices
        for camera in self.plan.names:
            counts = self.ledger.counts(camera)
            pending = counts.pop('pending')
            assert (
                counts.pop('received') == self.received[camera] == pending + sum(counts.values())
            )
            buffered = self.synchroniser.buffered(camera)
            assert pending == buffered, f'{camera}: {pending} pending, {buffered} buffered'
            assert buffered <= MAX_OPEN + MAX_WAITING

    def _check_slice(self, time_slice: TimeSlice, before: dict[str, int]) -> None:
        assert not self.epoch or time_slice.stamp > self.epoch[-1].stamp, 'slices out of order'
        self.epoch.append(time_slice)
        assert len(time_slice) >= self.plan.settings.min_cameras
        triggers = set()
        for frame in time_slice:
            assert id(frame) not in self.handed_out, 'a frame came out twice'
            assert (frame.camera, frame.stamp) not in self.epoch_stamps, 'a copy came out'
            self.handed_out.add(id(frame))
            self.epoch_stamps.add((frame.camera, frame.stamp))
            now = self.histories[frame.camera].tolerance
            tolerance = max(now, before.get(frame.camera, now))
            assert abs(frame.stamp - time_slice.stamp) <= tolerance, 'a frame is too far away'
            if frame.camera == time_slice.reference or tells_apart(self.plan, tolerance):
                triggers.add(frame.payload.trigger)
        assert len(triggers) == 1, f'one slice mixes triggers {triggers}'
        # Whoever takes a slice settles its frames; here that is this walk.
        self.ledger.settle_frames(time_slice, Outcome.USED)


def tells_apart(plan: StreamPlan, tolerance: int) -> bool:
    """Whether a tolerance separates the triggers of a rig.

    Not so while a rig faster than the slop is not known well enough yet.
    """
    if plan.trigger is None or not plan.truthful:
        return False
    return tolerance < plan.trigger - 4 * stamp_spread(plan.trigger)


def triggers_in_time(plan: StreamPlan, stream: list[Arrival]) -> set[int]:
    """Triggers of which every camera delivered its frame in time.

    In time: in stamp order, by a camera that counts as live, and all of them within the timeout.
    """
    timeout = round(plan.settings.timeout * SECOND)
    camera_timeout = round(plan.settings.camera_timeout * SECOND)
    heard = dict.fromkeys(plan.names, stream[0].now)
    alive_since = dict(heard)
    histories = {name: StampHistory(plan.settings.slop) for name in plan.names}
    arrived: dict[int, dict[str, int]] = defaultdict(dict)
    for arrival in stream:
        frame, now = arrival.frame, arrival.now
        history = histories[frame.camera]
        if not history.add(frame.stamp):
            continue
        if now - heard[frame.camera] >= camera_timeout:
            alive_since[frame.camera] = now
        heard[frame.camera] = now
        times = arrived[frame.payload.trigger]
        first = min(times.values(), default=now)
        if tells_apart(plan, history.tolerance) and alive_since[frame.camera] <= first:
            times[frame.camera] = now
    return {
        trigger
        for trigger, times in arrived.items()
        if len(times) == len(plan.names) and max(times.values()) - min(times.values()) < timeout
    }


def check_full_slices(walk: Walk) -> int:
    """A full slice of every trigger in time, and how many there were.

    Where a clock was wrong or time jumped this holds again towards the end of the calm.
    """
    plan, stream = walk.plan, arrivals(walk.plan)
    if plan.trigger is None:
        return 0
    full = {s.frame(s.reference).payload.trigger for s in walk.slices if len(s) == len(s.cameras)}
    due = triggers_in_time(plan, stream)
    if walk.jumps or plan.loop or plan.clock_fault or not plan.truthful:
        last = plan.end - 3 * plan.period - 300 * MS
        due = {trigger for trigger in due if trigger * plan.trigger > last}
    assert due <= full, f'triggers {sorted(due - full)} were in time but made no full slice'
    return len(due)


def check_goes_on(walk: Walk) -> None:
    """Whatever happened before, slices come again at the end of the calm."""
    plan = walk.plan
    if plan.settings.min_cameras == 1:
        last = max(s.frame(s.reference).payload.time for s in walk.slices)
        assert last >= plan.end - 2 * plan.period, 'nothing comes out any more'


def check_everything(plan: StreamPlan) -> Walk:
    """Walk the plan with all checks."""
    walk = Walk(plan).run()
    check_full_slices(walk)
    check_goes_on(walk)
    return walk

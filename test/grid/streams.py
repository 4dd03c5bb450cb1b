"""Random camera streams, as a rig in trouble delivers them, for the tests and the soak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from fourd_perception.grid.frame import Frame
from fourd_perception.grid.synchroniser import SyncSettings

MS = 1_000_000
SECOND = 1000 * MS
FIRST_STAMP = 1_700_000_000_123_456_789


@dataclass(frozen=True)
class CameraPlan:
    """How one camera behaves. Times in nanoseconds of true time, chances per frame.

    period, phase: exposures, where the rig is not triggered
    every:         fires at every n-th trigger, where it is
    offset:        constant error of its stamps; jitter: largest random one
    latency:       from exposure to arrival; latency_jitter: largest addition
    drop, duplicate, overtaken, stall: chance that a frame is lost, comes again later, comes after
                   those behind it, holds up those behind it
    silences:      intervals without frames; backlog: whether those come afterwards in one burst
    clock_error:   (start, end, error): an interval in which its clock is wrong
    """

    name: str
    period: int
    phase: int
    every: int
    offset: int
    jitter: int
    latency: int
    latency_jitter: int
    drop: float
    duplicate: float
    overtaken: float
    stall: float
    silences: tuple[tuple[int, int], ...]
    backlog: bool
    clock_error: tuple[int, int, int] | None


@dataclass(frozen=True)
class StreamPlan:
    """A rig and its fortune.

    trigger: period of the common trigger, or None for free-running cameras
    chaos:   how long things go wrong; afterwards everything is well
    loop:    stamps start again after this time, or None
    clock_offset: of `now` against stamps
    clock_fault: what `now` does in the middle: nothing, stands still, goes back, leaps ahead
    """

    seed: int
    cameras: tuple[CameraPlan, ...]
    settings: SyncSettings
    trigger: int | None
    chaos: int
    loop: int | None
    clock_offset: int
    clock_fault: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the cameras."""
        return tuple(camera.name for camera in self.cameras)

    @property
    def period(self) -> int:
        """Of the slowest camera."""
        return max(
            camera.period if self.trigger is None else self.trigger * camera.every
            for camera in self.cameras
        )

    @property
    def end(self) -> int:
        """True time of the last exposures: the calm is long enough to recover from anything."""
        return self.chaos + 1500 * MS + 10 * self.period

    @property
    def truthful(self) -> bool:
        """Whether stamps tell the exposure: no clock of a camera is ever wrong."""
        return all(camera.clock_error is None for camera in self.cameras)


@dataclass(frozen=True)
class Exposure:
    """Payload of a frame: when it was truly taken, and by which trigger (free-running: None)."""

    time: int
    trigger: int | None


@dataclass(frozen=True)
class Arrival:
    """A frame and the `now` at which it comes."""

    now: int
    frame: Frame


def random_plan(rng: Random) -> StreamPlan:
    """Draw a plan; most ingredients are absent from most plans, so that each is seen alone too."""
    triggered = rng.random() < 0.6
    trigger = rng.choice([8, 16, 33, 33, 50, 50, 100, 100, 200]) * MS if triggered else None
    chaos = rng.choice([300, 1000, 2500]) * MS
    loop = rng.choice([None, None, None, rng.randint(1000, 2500) * MS])
    wild = rng.random() < 0.3
    # A fast rig sends very many frames in the time that a death takes: fewer cameras for it.
    most = 8 if trigger is None or trigger >= 33 * MS else 4
    names = [f'camera{i}' for i in range(rng.randint(2, most))]
    cameras = tuple(_random_camera(rng, name, trigger, chaos, wild) for name in names)
    settings = SyncSettings(
        slop=rng.choice([0.02, 0.02, 0.005, 0.05] if trigger is None else [0.02, 0.02, 0.005]),
        timeout=rng.choice([0.1, 0.1, 0.03, 0.3]),
        min_cameras=rng.choice([1, 1, 1, len(names) // 2, len(names)]),
    )
    return StreamPlan(
        seed=rng.randint(0, 2**32 - 1),
        cameras=cameras,
        settings=settings,
        trigger=trigger,
        chaos=chaos,
        loop=loop,
        clock_offset=rng.choice([0, -FIRST_STAMP, 3600 * SECOND, rng.randint(-SECOND, SECOND)]),
        clock_fault=rng.choice([None] * 5 + ['still', 'back', 'ahead']),
    )


def stamp_spread(trigger: int) -> int:
    """Largest constant and largest random error of stamps on a triggered rig.

    Stamps of one trigger are a quarter period apart at most, those of two triggers three quarters
    at least; no rule could tell triggers apart if the two overlapped.
    """
    return min(trigger // 16, MS)


def _random_camera(
    rng: Random, name: str, trigger: int | None, chaos: int, wild: bool
) -> CameraPlan:
    period = rng.choice([8, 16, 33, 33, 50, 50, 100, 100, 100, 200, 200, 333]) * MS + rng.randint(
        -MS, MS
    )
    spread = stamp_spread(trigger) if trigger else period // 20

    def chance(*choices: float) -> float:
        return rng.choice([0.0, 0.0, *choices])

    def interval() -> tuple[int, int]:
        start, length = rng.randint(0, chaos), rng.randint(100, 1500) * MS
        return start, min(start + length, chaos)

    error = rng.choice([-1, 1]) * rng.randint(100, 5000) * MS
    return CameraPlan(
        name=name,
        period=period,
        phase=rng.randint(0, period),
        every=rng.choice([1, 1, 1, 2, 3]) if trigger and trigger >= 33 * MS else 1,
        offset=rng.randint(-spread, spread),
        jitter=rng.choice([0, spread]),
        latency=rng.choice([0, 2, 10, 30, 60, 150 if wild else 20]) * MS,
        latency_jitter=rng.choice([0, 1, 5, 30]) * MS,
        drop=chance(0.05, 0.2),
        duplicate=chance(0.0, 0.1),
        overtaken=chance(0.0, 0.1),
        stall=chance(0.0, 0.02),
        silences=tuple(interval() for _ in range(rng.choice([0, 0, 1, 1, 2]))),
        backlog=rng.random() < 0.3,
        clock_error=(*interval(), error) if wild and rng.random() < 0.3 else None,
    )


def arrivals(plan: StreamPlan) -> list[Arrival]:
    """The stream of a plan, in order of arrival; the same for the same plan."""
    rng = Random(plan.seed)
    stream = [
        (arrival, frame)
        for camera in plan.cameras
        for arrival, frame in _camera_stream(plan, camera, rng)
    ]
    stream.sort(key=lambda item: item[0])
    return [Arrival(_now(plan, arrival), frame) for arrival, frame in stream]


def _camera_stream(
    plan: StreamPlan, camera: CameraPlan, rng: Random
) -> Iterator[tuple[int, Frame]]:
    queue_free = 0
    for exposure, stamp in _exposures(plan, camera, rng):
        frame = Frame(camera.name, stamp, exposure)
        latency = camera.latency + rng.randint(0, camera.latency_jitter)
        if exposure.time >= plan.chaos:
            queue_free = max(queue_free, exposure.time + latency)
            yield queue_free, frame
            continue
        silence = _within(exposure.time, camera.silences)
        if rng.random() < camera.drop or (silence and not camera.backlog):
            continue
        if rng.random() < camera.stall:
            latency += rng.randint(0, 400 * MS)
        arrival = max(queue_free, exposure.time + latency, silence or 0)
        if rng.random() < camera.overtaken:
            arrival += rng.randint(0, 300 * MS)
        else:
            queue_free = arrival
        yield arrival, frame
        if rng.random() < camera.duplicate:
            yield arrival + rng.randint(0, 300 * MS), Frame(camera.name, stamp, exposure)


def _exposures(
    plan: StreamPlan, camera: CameraPlan, rng: Random
) -> Iterator[tuple[Exposure, int]]:
    if plan.trigger is None:
        times = [(None, t) for t in range(camera.phase, plan.end, camera.period)]
    else:
        step = plan.trigger * camera.every
        times = [(t // plan.trigger, t) for t in range(0, plan.end, step)]
    for trigger, time in times:
        stamp = FIRST_STAMP + time + camera.offset + rng.randint(-camera.jitter, camera.jitter)
        if plan.loop is not None:
            # The last round goes on into the calm.
            stamp -= min(time, plan.chaos - 1) // plan.loop * plan.loop
        if camera.clock_error is not None:
            start, stop, error = camera.clock_error
            stamp += error if start <= time < stop else 0
        yield Exposure(time, trigger), stamp


def _within(time: int, intervals: tuple[tuple[int, int], ...]) -> int | None:
    """End of the interval that holds the time, if one does."""
    return next((end for start, end in intervals if start <= time < end), None)


def _now(plan: StreamPlan, time: int) -> int:
    middle = plan.chaos // 2
    fault = 0
    if plan.clock_fault == 'still' and middle <= time < plan.chaos:
        fault = middle - time
    elif plan.clock_fault == 'back' and time >= middle:
        fault = -10 * SECOND
    elif plan.clock_fault == 'ahead' and time >= middle:
        fault = 10 * SECOND
    return FIRST_STAMP + plan.clock_offset + time + fault

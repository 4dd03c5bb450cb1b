"""The inference thread: takes slices from the slot, runs the engine, hands updates on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
import threading
import time
from typing import Protocol

from fourd_perception.engine.engine import Engine, UnusableSlice
from fourd_perception.engine.scene_update import Output, PoseSource, Scale, SceneUpdate
from fourd_perception.geometry.cameras import Rig
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.ledger import Outcome
from fourd_perception.ros.intake import Intake, Ticket

IDLE_SECONDS = 0.1  # how often an idle thread looks whether anything is wanted
STALE_SECONDS = 10.0  # age of the newest inference beyond which there is no rate
SILENT_SECONDS = 1.0  # without an image or an inference, after which it is told of
WAITING_FOR_TF = 'TF to connect the cameras (see tf.wait)'
HISTORY = 20  # inferences over which latencies and the rate are taken


@dataclass(frozen=True)
class InferenceReport:
    """What the inference thread tells the diagnostics, as of one moment.

    waiting_for: why nothing is inferred, in plain words; empty while inference runs
    fault:       the newest unexpected error of the engine; empty when the newest step went well
    inferred:    slices inferred since activation
    rate:        inferences a second, over the newest ones
    finished:    steady time at which the newest one ended
    scale:       of the newest update; None before the first
    pose_source: of the newest update; None before the first
    window_fill: slices in the window
    warnings:    what is doubtful about the input, as of the newest update
    seconds:     mean seconds per stage over the newest inferences, in order
    """

    waiting_for: str = 'the first time slice'
    fault: str = ''
    inferred: int = 0
    rate: float = 0.0
    finished: float = -float('inf')
    scale: Scale | None = None
    pose_source: PoseSource | None = None
    window_fill: int = 0
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def age(self, now: float) -> float:
        """Seconds since the newest inference ended; infinite before the first."""
        return now - self.finished

    def current_rate(self, now: float) -> float:
        """Inferences a second; 0 when the newest is long ago."""
        return self.rate if self.age(now) < STALE_SECONDS else 0.0


class Stage(Protocol):
    """What the inference thread asks of the node."""

    def wanted(self) -> frozenset[Output]:
        """What somebody subscribes to."""

    def rig(self, time_slice: TimeSlice) -> Rig | None:
        """The cameras at one instant; None while TF is still given time to tell of them."""

    def publish(
        self, update: SceneUpdate, wanted: frozenset[Output], seconds: dict[str, float]
    ) -> None:
        """Send an update off; seconds per stage are added."""

    def restart(self) -> None:
        """Forget path and poses: a new epoch begins."""

    def refuse(self, frame: Frame, reason: str) -> None:
        """Tell of a frame that could not be read."""

    def fail(self, error: Exception) -> None:
        """Tell of an error that nobody expected."""


class InferenceThread:
    """One thread from `start` to `stop`; nothing else touches the engine meanwhile."""

    def __init__(self, engine: Engine, intake: Intake, stage: Stage, max_rate: float) -> None:
        self.max_rate = max_rate  # Hz, 0 for no limit; may change at any time
        self.report = InferenceReport()
        self._engine = engine
        self._intake = intake
        self._stage = stage
        self._epoch = intake.epoch
        self._started = time.monotonic()
        self._last_start = -float('inf')
        self._finished: deque[float] = deque(maxlen=HISTORY)
        self._timings: deque[dict[str, float]] = deque(maxlen=HISTORY)
        self._stop = threading.Event()
        # A daemon, so that a kernel that never ends cannot keep the process: see `main`.
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)

    def start(self) -> None:
        """Begin to take slices."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Ask the thread to end after the block that it is in; whether it has, in `timeout` s."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            wanted = self._stage.wanted()
            if not wanted:
                self._wait('a subscriber: nobody subscribes to any output', IDLE_SECONDS)
                continue
            pause = self._pause()
            if pause > 0:
                self._stop.wait(min(pause, IDLE_SECONDS))
                continue
            ticket = self._intake.slot.take(IDLE_SECONDS)
            if ticket is None:
                self._tell_of_silence(time.monotonic())
            else:
                self._take(ticket, wanted)

    def _pause(self) -> float:
        """Seconds until `max_rate` allows the next inference."""
        if self.max_rate <= 0:
            return 0.0
        return self._last_start + 1.0 / self.max_rate - time.monotonic()

    def _wait(self, what: str, seconds: float) -> None:
        self.report = replace(self.report, waiting_for=what)
        self._stop.wait(seconds)

    def _tell_of_silence(self, now: float) -> None:
        """Say why no slice comes, unless one was inferred just now or TF is still waited for."""
        if self.report.waiting_for == WAITING_FOR_TF:
            return
        ages = [arrivals.age(now) for arrivals in self._intake.arrivals.values()]
        silence = min([now - self._started, *(age for age in ages if age is not None)])
        if silence > SILENT_SECONDS:
            self._wait('a time slice: no images come in', 0.0)
        elif self.report.waiting_for or self.report.age(now) > SILENT_SECONDS:
            self._wait('the next time slice', 0.0)

    def _take(self, ticket: Ticket, wanted: frozenset[Output]) -> None:
        """Infer one slice, or count it out with the reason why not."""
        if ticket.epoch != self._intake.epoch:
            self._settle(ticket.slice, Outcome.JUMP)
            return
        if ticket.epoch != self._epoch:
            self._epoch = ticket.epoch
            self._engine.reset()
            self._stage.restart()
        rig = self._stage.rig(ticket.slice)
        if rig is None:
            self._settle(ticket.slice, Outcome.OVERWRITTEN)
            self._wait(WAITING_FOR_TF, 0.0)
        elif not self._engine.admits(ticket.slice):
            self._settle(ticket.slice, Outcome.OVERWRITTEN)
        else:
            self._infer(ticket, rig, wanted)

    def _infer(self, ticket: Ticket, rig: Rig, wanted: frozenset[Output]) -> None:
        started = self._last_start = time.monotonic()
        self.report = replace(self.report, waiting_for='')
        try:
            update = self._engine.step(ticket.slice, rig, wanted)
        except UnusableSlice as unusable:
            self._refuse(unusable.faults)
            return
        except Exception as error:
            self._settle(ticket.slice, Outcome.INVALID)
            self._fail(error)
            return
        self._refuse(update.faults)
        stale = ticket.epoch != self._intake.epoch
        self._settle(update.slice, Outcome.JUMP if stale else Outcome.USED)
        if stale or self._stop.is_set():
            return
        seconds = dict(update.timings)
        try:
            self._stage.publish(update, wanted, seconds)
        except Exception as error:
            self._fail(error)
            return
        self._tell(update, seconds, started)

    def _tell(self, update: SceneUpdate, seconds: dict[str, float], started: float) -> None:
        now = time.monotonic()
        self._finished.append(now)
        self._timings.append(seconds | {'total': now - started})
        span = now - self._finished[0]
        stages = dict.fromkeys(stage for timings in self._timings for stage in timings)
        self.report = InferenceReport(
            waiting_for='',
            inferred=self.report.inferred + 1,
            rate=(len(self._finished) - 1) / span if span > 0 else 0.0,
            finished=now,
            scale=update.scale,
            pose_source=update.pose_source,
            window_fill=update.window_fill,
            warnings=update.warnings,
            seconds={
                stage: sum(t.get(stage, 0.0) for t in self._timings) / len(self._timings)
                for stage in stages
            },
        )

    def _fail(self, error: Exception) -> None:
        if not self._stop.is_set():  # at shutdown the middleware is taken away under our feet
            self.report = replace(self.report, fault=f'{type(error).__name__}: {error}')
            self._stage.fail(error)

    def _refuse(self, faults: tuple[tuple[Frame, str], ...]) -> None:
        for frame, reason in faults:
            self._intake.ledger.settle(frame.camera, Outcome.INVALID)
            self._stage.refuse(frame, reason)

    def _settle(self, time_slice: TimeSlice, outcome: Outcome) -> None:
        self._intake.ledger.settle_frames(time_slice, outcome)

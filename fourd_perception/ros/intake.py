"""Image messages in, time slices out: what happens on the executor thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import time
from typing import Any

from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.ledger import FrameLedger, Outcome
from fourd_perception.grid.slot import LatestSlot
from fourd_perception.grid.synchroniser import SyncEvent, Synchroniser, SyncResult, SyncSettings
from fourd_perception.ros.calibration import Calibration, MissingCalibration
from fourd_perception.wire.camera_info import CalibrationError
from fourd_perception.wire.stamps import stamp_of

RATE_SECONDS = 5.0
ARRIVALS = 600
STRAGGLER_SECONDS = 0.5  # how long after a jump of /clock images from before it may still come


@dataclass(frozen=True, eq=False)
class Ticket:
    """A slice in the slot, and the epoch that it belongs to: jumps and resets start a new one."""

    epoch: int
    slice: TimeSlice


class Arrivals:
    """When messages came, on a steady clock: their rate and their age."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=ARRIVALS)

    def mark(self, now: float) -> None:
        """Note a message at `now`, seconds."""
        self._times.append(now)

    def rate(self, now: float) -> float:
        """Messages a second over the last seconds; 0 with fewer than two."""
        recent = [t for t in self._times if now - t <= RATE_SECONDS]
        span = recent[-1] - recent[0] if len(recent) > 1 else 0.0
        return (len(recent) - 1) / span if span > 0 else 0.0

    def age(self, now: float) -> float | None:
        """Seconds since the last message; None before the first."""
        return now - self._times[-1] if self._times else None


class Intake:
    """Counts frames, checks them against their calibration, and fills the slot with slices.

    settings: of the synchroniser
    now:     time for the synchroniser, nanoseconds of the node's clock
    heard:   called with every event of the synchroniser
    jumped:  called, with the reason, when the stamps of a camera jump back

    Everything here runs on the executor thread; the slot leads to the inference thread.
    """

    def __init__(
        self,
        calibrations: Mapping[str, Calibration],
        settings: SyncSettings,
        now: Callable[[], int],
        heard: Callable[[SyncEvent], None],
        jumped: Callable[[str], None],
    ) -> None:
        self.calibrations = calibrations
        self.ledger = FrameLedger(tuple(calibrations))
        self._synchroniser = Synchroniser(tuple(calibrations), settings, self.ledger)
        self.slot: LatestSlot[Ticket] = LatestSlot()
        self.arrivals = {camera: Arrivals() for camera in calibrations}
        self.epoch = 0
        self._newest: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._stragglers_until = 0.0
        self._now = now
        self._heard = heard
        self._jumped = jumped

    def image(self, camera: str, message: Any) -> None:
        """Take one image message."""
        steady = time.monotonic()
        self.arrivals[camera].mark(steady)
        try:
            self.calibrations[camera].fit(message, steady)
        except MissingCalibration:
            self._refuse(camera, Outcome.NO_INFO)
        except CalibrationError:
            self._refuse(camera, Outcome.INVALID)
        else:
            stamp = stamp_of(message.header)
            if steady < self._stragglers_until and stamp > self._before.get(camera, stamp):
                self._refuse(camera, Outcome.JUMP)
                return
            self._before.pop(camera, None)  # images of one camera come in their order
            self._newest[camera] = stamp
            self._deliver(self._synchroniser.add(Frame(camera, stamp, message), self._now()))

    def poll(self) -> None:
        """Close the slices whose time has come."""
        self._deliver(self._synchroniser.poll(self._now()))

    def renew(self, settings: SyncSettings) -> None:
        """Go on with other thresholds; the frames that wait are lost."""
        self._synchroniser.clear(Outcome.OVERWRITTEN)
        self._synchroniser = Synchroniser(tuple(self.calibrations), settings, self.ledger)

    def alive(self, camera: str) -> bool:
        """Whether a camera delivers."""
        return self._synchroniser.alive(camera)

    @property
    def reference(self) -> str:
        """The camera whose frames open slices."""
        return self._synchroniser.reference

    def restart(self) -> None:
        """Throw away what is buffered: time has jumped, or somebody asked for a fresh start."""
        self._synchroniser.clear(Outcome.JUMP)
        self.new_epoch()

    def rewind(self, back: int) -> None:
        """Begin anew because the node's clock went back, by `back` nanoseconds.

        /clock and images come by different ways: an image from before the jump may come after
        it. It would make the stamps jump once more, so it is counted out.
        """
        self._before = {camera: stamp - back // 2 for camera, stamp in self._newest.items()}
        self._stragglers_until = time.monotonic() + STRAGGLER_SECONDS
        self._newest.clear()
        self.restart()

    def new_epoch(self) -> None:
        """Make the inference thread forget what came before."""
        self.epoch += 1
        self._settle(self.slot.clear(), Outcome.JUMP)

    def drain(self) -> None:
        """Throw away what is buffered, because nothing will be inferred any more."""
        self._synchroniser.clear(Outcome.OVERWRITTEN)
        self._settle(self.slot.clear(), Outcome.OVERWRITTEN)

    def _deliver(self, result: SyncResult) -> None:
        if result.jumped:
            self.new_epoch()
        for event in result.events:
            self._heard(event)
            if event.kind == 'jump':
                self._jumped(event.text)
        for time_slice in result.slices:
            self._settle(self.slot.put(Ticket(self.epoch, time_slice)), Outcome.OVERWRITTEN)

    def _refuse(self, camera: str, outcome: Outcome) -> None:
        self.ledger.receive(camera)
        self.ledger.settle(camera, outcome)

    def _settle(self, ticket: Ticket | None, outcome: Outcome) -> None:
        if ticket is not None:
            self.ledger.settle_frames(ticket.slice, outcome)

"""What the stamps of one camera say: its period, its tolerance, whether it is alive."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median_low

from fourd_perception.grid.frame import Frame, NANOSECONDS
from fourd_perception.grid.ledger import Outcome

INTERVALS_KEPT = 16
INTERVALS_NEEDED = 5
PERIODS_UNTIL_DEAD = 5


@dataclass(frozen=True)
class SyncSettings:
    """How frames become slices; times in seconds, each the parameter `sync_...` of its name.

    slop:           largest distance of a frame from its slice's reference stamp
    timeout:        how long an open slice waits for its cameras
    camera_timeout: least silence after which a camera counts as dead (else 5 of its periods)
    jump_threshold: a stamp further behind its camera's newest, twice running, is a jump of time
    min_cameras:    slices with fewer frames are dropped
    """

    slop: float = 0.02
    timeout: float = 0.1
    camera_timeout: float = 0.5
    jump_threshold: float = 0.5
    min_cameras: int = 1

    def __post_init__(self) -> None:
        if self.slop < 0:
            raise ValueError(f'sync_slop {self.slop} s must not be negative')
        for name in ('timeout', 'camera_timeout', 'jump_threshold'):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f'{name} {value} s must be above 0')
        if self.min_cameras < 1:
            raise ValueError(f'min_cameras {self.min_cameras} must be at least 1')


@dataclass(slots=True)
class CameraTrack:
    """One camera as the synchroniser sees it. Stamps and times are nanoseconds.

    waiting:  its frames that are in no slice yet, in stamp order
    alive:    whether it counts as live
    said_dead, said_unmatched: whether an event has told so, and none yet the contrary
    heard_at: when it last delivered a newer frame, on the synchroniser's clock
    far_behind: stamp of its last frame where that was further back than the jump threshold
    clean:    frames in a row that came in order, in time and on the reference's clock
    strays:   frames in a row that were counted out; `last_stray` as what, the last of them
    holes:    slices in a row that lacked this camera
    """

    name: str
    settings: SyncSettings
    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=INTERVALS_KEPT + 1))
    waiting: list[Frame] = field(default_factory=list)
    alive: bool = False
    said_dead: bool = False
    heard_at: int = 0
    said_unmatched: bool = False
    far_behind: int | None = None
    clean: int = 0
    strays: int = 0
    last_stray: Outcome | None = None
    holes: int = 0
    period: int | None = None
    tolerance: int = 0
    timeout: int = 0

    def __post_init__(self) -> None:
        self._measure()

    @property
    def newest(self) -> int | None:
        """Stamp of the newest frame, whatever became of it."""
        return self.stamps[-1] if self.stamps else None

    @property
    def steady_period(self) -> int | None:
        """The period once enough intervals are known to trust it."""
        return self.period if len(self.stamps) > INTERVALS_NEEDED else None

    @property
    def unmatched(self) -> int:
        """Frames in a row that joined no slice, those that still wait for one included."""
        return self.strays + len(self.waiting)

    @property
    def dead_at(self) -> int:
        """When it will count as dead unless it delivers."""
        return self.heard_at + self.timeout

    def stray(self, outcome: Outcome, count: int) -> None:
        """Note frames that joined no slice."""
        self.strays += count
        self.last_stray = outcome

    def advance(self, stamp: int) -> None:
        """Note a stamp newer than all before."""
        self.stamps.append(stamp)
        self._measure()

    def _measure(self) -> None:
        # The low median: of two intervals, one of them over a gap, it takes the true one.
        stamps = list(self.stamps)
        intervals = [b - a for a, b in zip(stamps, stamps[1:])]
        self.period = median_low(intervals) if intervals else None
        self.tolerance = round(self.settings.slop * NANOSECONDS)
        self.timeout = round(self.settings.camera_timeout * NANOSECONDS)
        if self.period is not None:
            self.timeout = max(self.timeout, PERIODS_UNTIL_DEAD * self.period)
        if self.steady_period is not None:
            self.tolerance = min(self.tolerance, self.steady_period // 2)

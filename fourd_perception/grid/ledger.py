"""Where every received frame went, counted per camera."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
import threading

from fourd_perception.grid.frame import Frame


class Outcome(str, Enum):
    """The one fate of a received frame.

    used:              went through inference
    duplicate:         its stamp had come before
    late:              behind its camera's newest, or its slice was closed when it came
    no_info:           its camera has no usable calibration
    invalid:           could not be decoded or contradicts its calibration
    unmatched:         no slice within the tolerance, or another frame was nearer
    below_min_cameras: its slice had fewer than `min_cameras` frames
    overwritten:       its slice was not taken for inference: a newer one came, or it followed the
                       last one by less than `window.min_interval`
    jump:              thrown away because time jumped
    """

    USED = 'used'
    DUPLICATE = 'duplicate'
    LATE = 'late'
    NO_INFO = 'no_info'
    INVALID = 'invalid'
    UNMATCHED = 'unmatched'
    BELOW_MIN_CAMERAS = 'below_min_cameras'
    OVERWRITTEN = 'overwritten'
    JUMP = 'jump'


class FrameLedger:
    """Counts frames in and frames out; what lies between is pending. Safe to share by threads.

    Per camera, at any moment: received = sum of all outcomes + pending. Pending is not counted
    but follows from the equation, so comparing it with what is truly buffered proves that no
    frame was lost or counted twice.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._received = dict.fromkeys(cameras, 0)
        self._settled = {camera: {outcome.value: 0 for outcome in Outcome} for camera in cameras}

    def receive(self, camera: str) -> None:
        """Count a frame in."""
        with self._lock:
            self._check(camera)
            self._received[camera] += 1

    def settle(self, camera: str, outcome: Outcome, count: int = 1) -> None:
        """Count `count` pending frames out; more than are pending raises ValueError."""
        with self._lock:
            self._check(camera)
            pending = self._pending(camera)
            if not 0 <= count <= pending:
                raise ValueError(
                    f'cannot settle {count} frames of camera {camera!r} as {outcome.value}: '
                    f'{pending} are pending; every frame is received once and settled once'
                )
            self._settled[camera][outcome.value] += count

    def settle_frames(self, frames: Iterable[Frame], outcome: Outcome) -> None:
        """Count frames out one by one, for example those of a `TimeSlice`."""
        for frame in frames:
            self.settle(frame.camera, outcome)

    def counts(self, camera: str) -> dict[str, int]:
        """`received`, every outcome by its name, and `pending`, read at one moment."""
        with self._lock:
            self._check(camera)
            return {
                'received': self._received[camera],
                **self._settled[camera],
                'pending': self._pending(camera),
            }

    def _pending(self, camera: str) -> int:
        return self._received[camera] - sum(self._settled[camera].values())

    def _check(self, camera: str) -> None:
        if camera not in self._received:
            known = ', '.join(self._received)
            raise ValueError(f'camera {camera!r} is not one of the rig ({known})')

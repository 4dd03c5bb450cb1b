"""What the synchroniser reports beside slices, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fourd_perception.grid.camera_track import CameraTrack
from fourd_perception.grid.frame import NANOSECONDS, TimeSlice

EventKind = Literal['reference', 'dead', 'alive', 'jump', 'below_min_cameras', 'unmatched']


@dataclass(frozen=True)
class SyncEvent:
    """Something worth a line in the log: of which kind, about which camera, in plain words."""

    kind: EventKind
    camera: str
    text: str


@dataclass(frozen=True)
class SyncResult:
    """What one call brought about.

    slices: closed slices in stamp order
    events: in the order in which they happened
    jumped: time jumped and everything buffered was dropped; `slices` are of the new time, and
            whatever was built on the slices before must go
    """

    slices: tuple[TimeSlice, ...]
    events: tuple[SyncEvent, ...]
    jumped: bool = False


def seconds(nanoseconds: int) -> str:
    """For people: seconds to the millisecond."""
    return f'{nanoseconds / NANOSECONDS:.3f} s'


def unmatched_event(track: CameraTrack, offset: int, reference: str) -> SyncEvent:
    """A live camera whose frames join no slice: `offset` is its newest stamp's, nanoseconds."""
    if abs(offset) <= track.tolerance:
        why = 'they come after their slices have closed: lower its latency or raise sync_timeout'
    else:
        side = 'ahead of' if offset > 0 else 'behind'
        why = (
            f'the newest is {seconds(abs(offset))} {side} the nearest of the reference '
            f'{reference!r}, the tolerance is {seconds(track.tolerance)}: check that the cameras '
            'share a clock and a trigger, or raise sync_slop'
        )
    text = f'camera {track.name!r}: its last {track.strays} frames joined no slice; {why}'
    return SyncEvent('unmatched', track.name, text)

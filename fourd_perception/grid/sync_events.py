"""What the synchroniser reports beside slices, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fourd_perception.grid.camera_track import CameraTrack
from fourd_perception.grid.frame import Frame, NANOSECONDS, TimeSlice
from fourd_perception.grid.ledger import Outcome

EventKind = Literal['reference', 'dead', 'alive', 'jump', 'below_min_cameras', 'unmatched']


@dataclass(frozen=True)
class SyncEvent:
    """Something worth a line in the log: of which kind, about which camera, in plain words."""

    kind: EventKind
    camera: str
    text: str


def dead(track: CameraTrack) -> SyncEvent:
    """A camera has fallen silent."""
    text = f'camera {track.name!r} has delivered nothing new for {_seconds(track.timeout)}'
    return SyncEvent('dead', track.name, text)


def alive(track: CameraTrack) -> SyncEvent:
    """A camera that had been reported dead is back."""
    return SyncEvent('alive', track.name, f'camera {track.name!r} delivers again')


def new_reference(track: CameraTrack, before: CameraTrack, why: str) -> SyncEvent:
    """The role of the reference has gone from one camera to another."""
    text = f'camera {track.name!r} is the reference now, in place of {before.name!r}, {why}'
    return SyncEvent('reference', track.name, text)


def jump(frame: Frame, threshold: int, dropped: int) -> SyncEvent:
    """Stamps went back by more than the threshold, nanoseconds; so many frames were dropped."""
    text = (
        f'time jumped: camera {frame.camera!r} has gone back by more than {_seconds(threshold)}, '
        f'twice running, to stamp {frame.stamp}; {dropped} buffered frames dropped, everything '
        'starts anew'
    )
    return SyncEvent('jump', frame.camera, text)


def below_min_cameras(time_slice: TimeSlice, least: int) -> SyncEvent:
    """Slices have become too small to be used."""
    missing = [name for name in time_slice.cameras if time_slice.frame(name) is None]
    text = (
        f'slices have {len(time_slice)} of at least {least} cameras and are dropped; missing: '
        f'{", ".join(missing)}'
    )
    return SyncEvent('below_min_cameras', time_slice.reference, text)


def unmatched(track: CameraTrack, offset: int, reference: CameraTrack) -> SyncEvent:
    """A live camera joins no slice; `offset` is its newest stamp's from the nearest reference."""
    side = 'ahead of' if offset > 0 else 'behind'
    where = f'the newest is {_seconds(abs(offset))} {side} the nearest of {reference.name!r}'
    if track.last_stray is Outcome.LATE:
        why = (
            f'they come after their slices have closed, {where}: lower its latency, raise '
            'sync_timeout, or check its clock'
        )
    else:
        why = (
            f'{where}, the tolerance is {_seconds(track.tolerance)}: check that the cameras share '
            'a clock and a trigger, or raise sync_slop'
        )
    text = f'camera {track.name!r}: its last {track.unmatched} frames joined no slice; {why}'
    return SyncEvent('unmatched', track.name, text)


def _seconds(nanoseconds: int) -> str:
    """For people: to the millisecond."""
    return f'{nanoseconds / NANOSECONDS:.3f} s'

"""Frames of many cameras in, time slices out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.grid import sync_events
from fourd_perception.grid.camera_track import CameraTrack, SyncSettings
from fourd_perception.grid.frame import Frame, NANOSECONDS, TimeSlice
from fourd_perception.grid.ledger import FrameLedger, Outcome
from fourd_perception.grid.open_slices import OpenSlice, OpenSlices, Place
from fourd_perception.grid.sync_events import SyncEvent

__all__ = ['SyncEvent', 'SyncResult', 'SyncSettings', 'Synchroniser']

MAX_OPEN = 24  # slices that stand open, at most
MAX_WAITING = 48  # frames that wait, at most, per camera
CLEAN_FRAMES = 10  # in a row, after which a revived camera is trusted with the reference
STRAY_FRAMES = 10  # frames in a row without a slice, and slices without a frame, worth a warning


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


class Synchroniser:
    """Groups frames into time slices around the frames of a reference camera (design section 3).

    It owns no clock: `now` is passed in, integer nanoseconds (live: the node's clock; offline:
    log time of the bag). Stamps are compared with stamps only and `now` with `now`, so the two
    may be offset. What comes out depends on the frames and their `now`, not on how often `poll`
    is called (but a jump also drops slices that were due and not yet fetched). Not safe to share
    by threads.

    Frames leave as members of slices, still pending in the ledger: whoever takes a slice settles
    them. Frames that join no slice are settled here.
    """

    def __init__(
        self, cameras: Sequence[str], settings: SyncSettings, ledger: FrameLedger
    ) -> None:
        if not cameras or len(set(cameras)) != len(cameras):
            raise ValueError(
                f'cameras {list(cameras)} must be one name at least, and each of them once'
            )
        if settings.min_cameras > len(cameras):
            raise ValueError(
                f'min_cameras {settings.min_cameras} exceeds the {len(cameras)} cameras of the '
                'rig, so that no slice would ever be used; lower it'
            )
        self._settings = settings
        self._ledger = ledger
        self._timeout = round(settings.timeout * NANOSECONDS)
        self._jump_threshold = round(settings.jump_threshold * NANOSECONDS)
        self._ready: list[TimeSlice] = []
        self._events: list[SyncEvent] = []
        self._now = 0
        self._starved = False
        self._tracks: dict[str, CameraTrack] = {}
        self._start(cameras)

    @property
    def reference(self) -> str:
        """The camera whose frames open slices."""
        return self._reference.name

    @property
    def next_deadline(self) -> int | None:
        """The `now` at which time alone next changes something: `poll` then, or a little later."""
        deadlines = [track.dead_at for track in self._tracks.values() if track.alive]
        deadlines += [self._closes_at(s) for s in self._open]
        return min(deadlines, default=None)

    def alive(self, camera: str) -> bool:
        """Whether the camera delivers; for `camera_timeout` after a start all get the credit."""
        return self._track(camera).alive

    def buffered(self, camera: str) -> int:
        """Number of frames held: those that wait, and those that opened a slice."""
        heads = sum(s.head.camera == camera for s in self._open)
        return len(self._track(camera).waiting) + heads

    def add(self, frame: Frame, now: int) -> SyncResult:
        """Count a frame as received, take it in, and close what can be closed.

        ValueError for a camera that is not of the rig.
        """
        jumped = self._is_jump(self._track(frame.camera), frame.stamp)
        self._ledger.receive(frame.camera)
        if jumped:
            self._jump(frame)
        self._advance(now)
        track = self._track(frame.camera)
        if frame.stamp in track.stamps:
            self._refuse(track, Outcome.DUPLICATE)
        elif track.newest is not None and frame.stamp < track.newest:
            self._refuse(track, Outcome.LATE)
        else:
            self._accept(track, frame)
        self._close_complete()
        return self._result(jumped)

    def poll(self, now: int) -> SyncResult:
        """Let time pass: close slices that waited long enough, notice cameras that died."""
        self._advance(now)
        return self._result(jumped=False)

    def clear(self, outcome: Outcome = Outcome.JUMP) -> None:
        """Drop every buffered frame and start anew, as after a jump of the ROS clock."""
        for name in self._tracks:
            self._ledger.settle(name, outcome, self.buffered(name))
        self._start(tuple(self._tracks))

    def _start(self, cameras: Sequence[str]) -> None:
        silent = {name for name, track in self._tracks.items() if track.said_dead}
        self._tracks = {
            name: CameraTrack(name, self._settings, said_dead=name in silent) for name in cameras
        }
        self._open = OpenSlices(self._tracks)
        self._reference = self._tracks[cameras[0]]

    def _track(self, camera: str) -> CameraTrack:
        if camera not in self._tracks:
            raise ValueError(
                f'camera {camera!r} is not one of the rig ({", ".join(self._tracks)})'
            )
        return self._tracks[camera]

    def _result(self, jumped: bool) -> SyncResult:
        result = SyncResult(tuple(self._ready), tuple(self._events), jumped)
        self._ready.clear()
        self._events.clear()
        return result

    # Stamps that run backwards.

    def _is_jump(self, track: CameraTrack, stamp: int) -> bool:
        """Whether a camera's stamp is far behind for the second time running.

        Behind its own newest; for the reference also behind the newest slice, which another
        camera on a clock ahead may have opened before its death.
        """
        known = [track.newest, self._open.newest_stamp if track is self._reference else None]
        newest = max((s for s in known if s is not None), default=stamp)
        before, track.far_behind = track.far_behind, None
        if newest - stamp > self._jump_threshold:
            track.far_behind = stamp
        # The same frame delivered twice is one sign, not two.
        return None not in (before, track.far_behind) and before != track.far_behind

    def _jump(self, frame: Frame) -> None:
        dropped = sum(self.buffered(name) for name in self._tracks)
        self._events.append(sync_events.jump(frame, self._jump_threshold, dropped))
        self.clear(Outcome.JUMP)

    # Time.

    def _closes_at(self, open_slice: OpenSlice) -> int:
        return open_slice.opened_at + self._timeout

    def _advance(self, now: int) -> None:
        """Go from deadline to deadline up to `now`; where the clock went back, wait anew."""
        if now < self._now:
            self._now = now
            self._open.rewind(now)
            for track in self._tracks.values():
                track.heard_at = min(track.heard_at, now)
        while (deadline := self.next_deadline) is not None and deadline <= now:
            self._now = deadline
            self._bury_silent()
            self._close_complete()
        self._now = now

    def _bury_silent(self) -> None:
        silent = [t for t in self._tracks.values() if t.alive and t.dead_at <= self._now]
        for track in silent:
            track.alive, track.clean, track.said_dead = False, 0, True
            self._events.append(sync_events.dead(track))
        living = [track for track in self._tracks.values() if track.alive]
        if living and not self._reference.alive:
            self._hand_over(living[0], 'which has fallen silent')
        for track in silent:
            # Frames ahead of all references have waited long enough; left alone they could meet
            # the same stamps again in the next round of a looped bag.
            self._drop_waiting(track, keep=(Place.OPEN,))

    def _hand_over(self, track: CameraTrack, why: str) -> None:
        self._events.append(sync_events.new_reference(track, self._reference, why))
        self._reference = track
        self._open_waiting()

    # Frames.

    def _refuse(self, track: CameraTrack, outcome: Outcome) -> None:
        track.clean = 0
        self._ledger.settle(track.name, outcome)

    def _accept(self, track: CameraTrack, frame: Frame) -> None:
        """Take in a frame that is newer than all of its camera before."""
        self._revive(track)
        track.advance(frame.stamp)
        opens = track is self._reference and self._open.opens(track, frame.stamp)
        if not opens and self._open.is_over(track, frame.stamp, self._reference):
            track.stray(Outcome.LATE, 1)
            self._refuse(track, Outcome.LATE)
            return
        track.waiting.append(frame)
        track.clean = track.clean + 1 if self._shares_clock(frame.stamp) else 0
        rank = list(self._tracks)
        if track.clean >= CLEAN_FRAMES and rank.index(track.name) < rank.index(self.reference):
            self._hand_over(track, f'after {CLEAN_FRAMES} clean frames')
        self._open_waiting()
        self._drop_hopeless(track)

    def _revive(self, track: CameraTrack) -> None:
        if not any(t.alive for t in self._tracks.values()):
            # A start, or the end of a silence of all: the first frame gives everyone the credit
            # of being alive, so that the role does not go to whoever happens to come first.
            for other in self._tracks.values():
                other.alive, other.heard_at = True, self._now
            first = next(iter(self._tracks.values()))
            if first is not self._reference:
                self._hand_over(first, 'after a silence of all cameras')
        if track.said_dead:
            self._events.append(sync_events.alive(track))
        track.alive, track.said_dead, track.heard_at = True, False, self._now

    def _shares_clock(self, stamp: int) -> bool:
        """Whether a stamp is near the newest slice, as the stamps of a clean frame are.

        A revived camera on a clock of its own must not take the reference from the others.
        """
        newest = self._open.newest_stamp
        return newest is None or abs(stamp - newest) <= self._reference.timeout

    def _open_waiting(self) -> None:
        """Open slices for the reference's frames."""
        reference = self._reference
        heads = [f for f in reference.waiting if self._open.opens(reference, f.stamp)]
        for head in heads:
            reference.waiting.remove(head)
            self._open.open(head, self._now)
        if heads:
            for track in self._tracks.values():
                self._drop_hopeless(track)

    def _drop_hopeless(self, track: CameraTrack) -> None:
        """Count out waiting frames that no slice will take."""
        self._drop_waiting(track, keep=(Place.OPEN, Place.LATER))

    def _drop_waiting(self, track: CameraTrack, keep: tuple[Place, ...]) -> None:
        """Count out waiting frames that belong elsewhere, and the oldest beyond the limit."""
        kept = [
            frame
            for frame in track.waiting
            if self._open.place(track, frame.stamp, self._reference) in keep
        ][-MAX_WAITING:]
        dropped = len(track.waiting) - len(kept)
        if not dropped:
            return
        track.waiting = kept
        track.stray(Outcome.UNMATCHED, dropped)
        self._ledger.settle(track.name, Outcome.UNMATCHED, dropped)

    # Slices.

    def _close_complete(self) -> None:
        """Close slices, oldest first, as long as the oldest has nothing left to wait for."""
        while len(self._open) and (
            len(self._open) > MAX_OPEN
            or self._closes_at(self._open.oldest) <= self._now
            or self._open.is_complete(self._reference)
        ):
            time_slice = self._open.close()
            self._note_members(time_slice)
            for track in self._tracks.values():
                self._drop_hopeless(track)
            if len(time_slice) >= self._settings.min_cameras:
                self._starved = False
                self._ready.append(time_slice)
            else:
                self._drop_starved(time_slice)

    def _drop_starved(self, time_slice: TimeSlice) -> None:
        self._ledger.settle_frames(time_slice, Outcome.BELOW_MIN_CAMERAS)
        if not self._starved:
            least = self._settings.min_cameras
            self._events.append(sync_events.below_min_cameras(time_slice, least))
        self._starved = True

    def _note_members(self, time_slice: TimeSlice) -> None:
        """Keep count of live cameras that go by without joining; say it once."""
        for track in self._tracks.values():
            if time_slice.frame(track.name) is not None:
                track.strays, track.holes, track.said_unmatched = 0, 0, False
            elif track.alive:
                track.holes += 1
            if (
                min(track.unmatched, track.holes) >= STRAY_FRAMES
                and track.newest is not None
                and not track.said_unmatched
            ):
                track.said_unmatched = True
                offset = self._open.offset(track.newest)
                self._events.append(sync_events.unmatched(track, offset, self._reference))

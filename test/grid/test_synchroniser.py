"""What the synchroniser does with the frames of a rig, case by case. Times in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable

from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.ledger import FrameLedger
from fourd_perception.grid.synchroniser import (
    MAX_OPEN,
    MAX_WAITING,
    SyncEvent,
    Synchroniser,
    SyncSettings,
)
import pytest

MS = 1_000_000
STAMP_0 = 1_700_000_000_123_456_789
NOW_0 = 5_000_000_000_000_000_017  # of a clock that has nothing to do with the stamps


class Rig:
    """A synchroniser with everything that came out of it."""

    def __init__(self, cameras: str = 'abcd', **settings: float) -> None:
        self.ledger = FrameLedger(cameras)
        self.synchroniser = Synchroniser(cameras, SyncSettings(**settings), self.ledger)
        self.slices: list[TimeSlice] = []
        self.events: list[SyncEvent] = []
        self.jumps = 0

    def send(self, camera: str, stamp: float, at: float | None = None) -> None:
        """A frame; without `at` it comes at once."""
        frame = Frame(camera, STAMP_0 + round(stamp * MS), payload=None)
        at = stamp if at is None else at
        self._note(self.synchroniser.add(frame, NOW_0 + round(at * MS)))

    def poll(self, at: float) -> None:
        self._note(self.synchroniser.poll(NOW_0 + round(at * MS)))

    def trigger(self, cameras: str, stamps: Iterable[float]) -> None:
        """Frames of several cameras at each stamp, one after the other."""
        for stamp in stamps:
            for camera in cameras:
                self.send(camera, stamp)

    def _note(self, result) -> None:
        self.slices += result.slices
        self.events += result.events
        self.jumps += result.jumped

    @property
    def seen(self) -> list[tuple[float, str]]:
        """Reference stamp and present cameras of each slice, the reference in capitals."""
        return [
            (
                (s.stamp - STAMP_0) / MS,
                ''.join(f.camera.upper() if f.camera == s.reference else f.camera for f in s),
            )
            for s in self.slices
        ]

    @property
    def kinds(self) -> list[str]:
        return [f'{event.kind} {event.camera}' for event in self.events]

    def counts(self, camera: str) -> dict[str, int]:
        """The counters that are not zero."""
        return {name: n for name, n in self.ledger.counts(camera).items() if n}


# Slices.


def test_a_slice_closes_when_the_last_camera_joins():
    rig = Rig()
    rig.trigger('abc', [0])
    assert rig.seen == []
    rig.send('d', 3, at=40)
    assert rig.seen == [(0, 'Abcd')]
    assert [frame.stamp - STAMP_0 for frame in rig.slices[0]] == [0, 0, 0, 3 * MS]
    assert rig.slices[0].spread == 3 * MS


def test_frames_wait_for_the_frame_of_the_reference():
    rig = Rig()
    rig.trigger('bcd', [0])
    assert rig.seen == []
    rig.send('a', 0, at=70)
    assert rig.seen == [(0, 'Abcd')]


def test_a_slice_goes_without_a_camera_that_has_passed_it():
    rig = Rig()
    rig.trigger('abc', [0])
    rig.send('d', 33)
    assert rig.seen == [(0, 'Abc')]


def test_a_slice_goes_without_a_camera_that_keeps_it_waiting():
    rig = Rig(timeout=0.1)
    rig.trigger('abc', [0])
    rig.poll(99.9)
    assert rig.seen == []
    assert rig.synchroniser.next_deadline == NOW_0 + 100 * MS
    rig.poll(100)
    assert rig.seen == [(0, 'Abc')]
    rig.send('d', 0, at=101)
    assert rig.counts('d') == {'received': 1, 'late': 1}


def test_time_passes_between_frames_as_if_it_had_been_polled():
    """Both slices time out in turn, though nobody asked before the last frame."""
    rig = Rig('ab')
    rig.trigger('a', [0, 30])
    rig.send('a', 450)
    assert rig.seen == [(0, 'A'), (30, 'A')]


def test_a_frame_joins_the_nearest_reference():
    """The reference runs at 100 Hz, within the slop of each frame there are several stamps."""
    rig = Rig('ab')
    rig.trigger('a', range(0, 60, 10))
    rig.send('b', 38, at=51)
    assert rig.seen == [(0, 'A'), (10, 'A'), (20, 'A'), (30, 'A'), (40, 'Ab')]


def test_a_frame_waits_for_a_reference_that_may_be_nearer():
    rig = Rig('ab')
    rig.trigger('a', range(0, 60, 10))
    rig.send('b', 58)
    assert all(stamp < 50 for stamp, _ in rig.seen), 'the reference at 60 is expected nearer'
    rig.send('a', 60)
    assert rig.seen[-2:] == [(50, 'A'), (60, 'Ab')]


def test_a_slower_camera_leaves_holes():
    rig = Rig('ab')
    for k in range(0, 300, 33):
        rig.send('a', k)
        if k % 99 == 0:
            rig.send('b', k)
    rig.poll(1000)
    assert [cameras for _, cameras in rig.seen] == ['Ab', 'A', 'A'] * 3 + ['Ab']


def test_of_a_faster_camera_only_the_nearest_frames_join():
    rig = Rig('ab')
    for k in range(0, 600, 10):
        if k % 100 == 0:
            rig.send('a', k)
        rig.send('b', k + 4)
    rig.send('a', 600)
    assert rig.seen == [(k, 'Ab') for k in range(0, 600, 100)]
    assert [s.spread for s in rig.slices] == [4 * MS] * 6
    assert rig.counts('b') == {'received': 60, 'unmatched': 54, 'pending': 6}


def test_of_several_frames_near_one_reference_the_nearest_joins():
    rig = Rig('ab')
    rig.trigger('b', [88, 98])
    rig.send('a', 100)
    assert rig.seen == [(100, 'Ab')]
    assert rig.slices[0].spread == 2 * MS
    assert rig.counts('b') == {'received': 2, 'unmatched': 1, 'pending': 1}


def test_a_frame_that_was_counted_out_has_not_joined():
    rig = Rig('ab')
    rig.trigger('ab', [0])
    rig.send('b', 16)
    assert rig.counts('b') == {'received': 2, 'unmatched': 1, 'pending': 1}
    rig.trigger('ab', [24])
    assert rig.seen == [(0, 'Ab'), (24, 'Ab')]


def test_half_a_period_caps_the_tolerance():
    """At 100 Hz a frame 8 ms away belongs to another exposure, though the slop is 20 ms."""
    rig = Rig('ab', slop=0.02)
    rig.trigger('ab', range(0, 60, 10))
    rig.send('a', 60)
    rig.send('b', 68)
    rig.poll(200)
    assert rig.seen[-1] == (60, 'A')


def test_a_free_running_camera_out_of_phase_never_joins_and_is_named():
    rig = Rig('ab')
    for k in range(0, 2000, 100):
        rig.send('a', k)
        rig.send('b', k + 50)
    assert {cameras for _, cameras in rig.seen} == {'A'}
    assert rig.kinds == ['unmatched b']
    assert '0.050 s' in rig.events[0].text and 'sync_slop' in rig.events[0].text


def test_a_camera_that_is_always_late_is_named():
    rig = Rig('ab')
    for k in range(0, 3000, 100):
        rig.send('a', k)
        rig.send('b', k - 200, at=k)
    assert rig.kinds == ['unmatched b']
    assert 'sync_timeout' in rig.events[0].text


# Frames that make no slice.


def test_a_copy_is_a_duplicate_and_a_frame_behind_is_late():
    rig = Rig('ab')
    rig.send('a', 0)
    rig.send('a', 100)
    rig.send('a', 100, at=101)
    rig.send('a', 0, at=102)
    rig.send('a', 50, at=103)
    assert rig.counts('a') == {'received': 5, 'duplicate': 2, 'late': 1, 'pending': 2}


def test_too_small_slices_are_dropped_and_that_is_said_once():
    rig = Rig('abc', min_cameras=2)
    rig.trigger('ab', [0])
    rig.trigger('a', [100, 200, 300])
    rig.trigger('abc', [400])
    assert rig.seen == [(0, 'Ab'), (400, 'Abc')]
    assert rig.counts('a') == {'received': 5, 'below_min_cameras': 3, 'pending': 2}
    assert rig.kinds == ['below_min_cameras a']
    assert 'missing: b, c' in rig.events[0].text


# Cameras that die and come back.


def test_a_dead_camera_is_not_waited_for():
    rig = Rig()
    rig.trigger('abcd', [0])
    rig.trigger('abc', range(100, 900, 100))
    assert rig.kinds == ['dead d']
    assert not rig.synchroniser.alive('d')
    before = len(rig.slices)
    rig.trigger('abc', [900])
    assert rig.seen[before:] == [(900, 'Abc')], 'at once, without a timeout'
    rig.trigger('dabc', [1000, 1100])
    assert rig.kinds == ['dead d', 'alive d']
    assert rig.seen[-1] == (1100, 'Abcd')


def test_a_slow_camera_is_not_dead_between_its_frames():
    """Dead is who stays away for five of its periods; here that is 5 s."""
    rig = Rig('ab')
    for k in range(0, 10_000, 100):
        rig.send('a', k)
        if k % 1000 == 0:
            rig.send('b', k)
    assert rig.kinds == ['dead b', 'alive b'], 'once, before its period is known'


def test_a_silent_reference_hands_over_and_takes_the_role_back():
    rig = Rig('abc')
    rig.trigger('abc', range(0, 500, 100))
    rig.trigger('bc', range(500, 1500, 100))
    assert rig.kinds == ['dead a', 'reference b']
    assert rig.synchroniser.reference == 'b'
    # What waited for the reference is not lost: b, who takes over, opens the slices.
    assert rig.seen == [(k, 'Abc') for k in range(0, 500, 100)] + [
        (k, 'Bc') for k in range(500, 1500, 100)
    ]
    rig.trigger('abc', range(1500, 2400, 100))
    assert rig.synchroniser.reference == 'b', 'nine clean frames are not enough'
    rig.trigger('abc', range(2400, 3000, 100))
    assert rig.kinds == ['dead a', 'reference b', 'alive a', 'reference a']
    assert rig.seen[15:] == [(k, 'aBc') for k in range(1500, 2400, 100)] + [
        (k, 'Abc') for k in range(2400, 3000, 100)
    ]


def test_taking_the_role_back_splits_no_slice():
    """The frame with which `a` takes over belongs to the slice that `b` has just opened."""
    rig = Rig('abc')
    rig.trigger('abc', range(0, 500, 100))
    rig.trigger('bc', range(500, 1500, 100))
    for k in range(1500, 3000, 100):
        rig.send('b', k)
        rig.send('a', k + 1)
        rig.send('c', k + 2)
    assert rig.synchroniser.reference == 'a'
    assert rig.seen[-7:] == [(2300, 'aBc'), (2400, 'aBc')] + [
        (k + 1, 'Abc') for k in range(2500, 3000, 100)
    ]


def test_a_reference_that_stutters_does_not_take_the_role_back():
    rig = Rig('ab')
    rig.trigger('ab', range(0, 500, 100))
    rig.trigger('b', range(500, 1500, 100))
    for k in range(1500, 4000, 100):
        rig.send('b', k)
        rig.send('a', k)
        if k % 500 == 0:
            rig.send('a', k, at=k + 1)
    assert rig.synchroniser.reference == 'b'


def test_a_revived_reference_on_a_clock_of_its_own_stays_a_follower():
    rig = Rig('abc')
    rig.trigger('abc', range(0, 500, 100))
    rig.trigger('bc', range(500, 1500, 100))
    for k in range(1500, 4000, 100):
        rig.send('a', k + 3_600_000, at=k)
        rig.trigger('bc', [k])
    assert rig.synchroniser.reference == 'b'
    assert rig.seen[-1] == (3900, 'Bc')
    assert rig.kinds[-1] == 'unmatched a'
    assert 'ahead' in rig.events[-1].text


def test_a_backlog_after_a_break_is_late():
    rig = Rig('ab')
    rig.trigger('ab', range(0, 500, 100))
    rig.trigger('a', range(500, 2000, 100))
    for k in range(500, 1900, 100):
        rig.send('b', k, at=1901)
    rig.trigger('ab', [2000])
    assert rig.counts('b') == {'received': 20, 'late': 14, 'pending': 6}
    assert rig.seen[-1] == (2000, 'Ab')
    assert rig.jumps == 0


def test_at_the_start_all_have_credit_until_the_camera_timeout():
    rig = Rig('ab')
    rig.trigger('b', range(0, 500, 100))
    assert rig.seen == [] and rig.synchroniser.reference == 'a'
    rig.trigger('b', [500])
    assert rig.kinds == ['dead a', 'reference b']
    assert rig.seen == [(k, 'B') for k in range(0, 600, 100)]


def test_after_a_silence_of_all_the_first_camera_is_the_reference_again():
    rig = Rig('abc')
    rig.trigger('abc', [0])
    rig.poll(5000)
    assert rig.synchroniser.next_deadline is None
    rig.trigger('cba', [6000])
    assert rig.synchroniser.reference == 'a'
    assert rig.seen == [(0, 'Abc'), (6000, 'Abc')]


# Time that jumps.


def test_a_looped_bag_goes_on_after_the_jump():
    rig = Rig('abc')
    for round_ in range(3):
        for k in range(0, 2000, 100):
            for camera in 'abc':
                rig.send(camera, k, at=round_ * 2000 + k)
    assert rig.jumps == 2
    assert rig.kinds == ['jump a', 'jump a']
    # The first frame of each camera is still late, the second is the proof.
    again = [(k, 'Abc') for k in range(100, 2000, 100)]
    assert rig.seen == [(0, 'Abc'), *again, *again, *again]


def test_a_jump_empties_what_was_buffered():
    rig = Rig('abc')
    rig.trigger('ab', [5000, 5030])
    rig.send('b', 5060)
    rig.send('a', 0, at=5061)
    assert rig.jumps == 0, 'once is an accident'
    rig.send('a', 30, at=5062)
    assert rig.jumps == 1
    assert rig.seen == []
    assert rig.counts('a') == {'received': 4, 'late': 1, 'jump': 2, 'pending': 1}
    assert rig.counts('b') == {'received': 3, 'jump': 3}


def test_one_stamp_far_behind_is_late_and_so_is_its_copy():
    rig = Rig('ab')
    rig.trigger('ab', [5000])
    rig.send('a', 0, at=5001)
    rig.send('a', 0, at=5002)
    rig.trigger('ab', [5100])
    rig.send('a', 1, at=5101)
    assert rig.jumps == 0
    assert rig.counts('a') == {'received': 5, 'late': 3, 'pending': 2}


def test_one_stamp_far_ahead_costs_two_frames_and_not_the_rest():
    rig = Rig('abc')
    rig.trigger('abc', range(0, 500, 100))
    rig.send('a', 3_600_000, at=500)
    rig.trigger('abc', range(600, 1500, 100))
    assert rig.jumps == 1
    assert rig.seen[-7:] == [(k, 'Abc') for k in range(800, 1500, 100)]


def test_the_successor_of_a_reference_on_a_clock_ahead_is_not_late_for_ever():
    """The clock of `a` is an hour ahead. After its death the others go on by their own clock."""
    rig = Rig('abc')
    for k in range(0, 1000, 100):
        rig.send('a', k + 3_600_000, at=k)
        rig.trigger('bc', [k])
    assert {cameras for _, cameras in rig.seen} == {'A'}
    rig.trigger('bc', range(1000, 5000, 100))
    assert rig.jumps == 1
    assert rig.seen[-20:] == [(k, 'Bc') for k in range(3000, 5000, 100)]


def test_clear_starts_anew():
    rig = Rig('abc')
    rig.trigger('ab', [5000])
    rig.send('b', 5050)
    rig.synchroniser.clear()
    assert rig.counts('a') == {'received': 1, 'jump': 1}
    assert rig.counts('b') == {'received': 2, 'jump': 2}
    rig.trigger('abc', [0])
    assert rig.seen == [(0, 'Abc')]
    assert rig.jumps == 0


# A clock that misbehaves.


def test_nothing_grows_while_the_clock_stands_still():
    rig = Rig('abc')
    for k in range(0, 5000, 10):
        rig.send('a', k, at=1)
        rig.send('b', k + 1, at=1)
        assert rig.synchroniser.buffered('a') <= MAX_OPEN
        assert rig.synchroniser.buffered('b') <= MAX_OPEN + MAX_WAITING
    assert len(rig.slices) >= 500 - MAX_OPEN, 'and slices come out all the same'


def test_frames_that_wait_for_a_silent_reference_are_bounded():
    rig = Rig('ab')
    for k in range(0, 5000, 10):
        rig.send('b', k, at=1)
    dropped = 500 - MAX_WAITING
    assert rig.counts('b') == {'received': 500, 'unmatched': dropped, 'pending': MAX_WAITING}


def test_a_clock_that_goes_back_makes_nobody_dead_and_nothing_wait_for_ever():
    rig = Rig('ab')
    rig.trigger('ab', [10_000])
    rig.send('a', 10_100, at=100)
    rig.poll(199)
    assert len(rig.slices) == 1
    rig.poll(200)
    assert rig.seen[-1] == (10_100, 'A')
    assert rig.kinds == []


# What is refused.


def test_a_camera_that_is_not_of_the_rig_is_refused_by_name():
    rig = Rig('ab')
    with pytest.raises(ValueError, match=r"camera 'x' is not one of the rig \(a, b\)"):
        rig.send('x', 0)


@pytest.mark.parametrize(
    ('cameras', 'settings', 'message'),
    [
        ([], {}, 'at least'),
        (['a', 'a'], {}, 'once'),
        (['a'], {'min_cameras': 2}, 'min_cameras 2 exceeds the 1'),
        (['a'], {'min_cameras': 0}, 'min_cameras 0'),
        (['a'], {'slop': -0.1}, 'sync_slop -0.1 s'),
        (['a'], {'timeout': 0.0}, 'timeout 0.0 s'),
        (['a'], {'jump_threshold': float('nan')}, 'jump_threshold nan s'),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_value(cameras, settings, message):
    with pytest.raises(ValueError, match=message):
        Synchroniser(cameras, SyncSettings(**settings), FrameLedger(cameras))

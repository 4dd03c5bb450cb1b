"""What the stamps of one camera say of it."""

from __future__ import annotations

from itertools import accumulate

from fourd_perception.grid.camera_track import CameraTrack, SyncSettings
import pytest

MS = 1_000_000


def track_of(intervals: list[float], **settings: float) -> CameraTrack:
    """A camera whose stamps are so many milliseconds apart."""
    track = CameraTrack('c', SyncSettings(**settings))
    for stamp in accumulate(intervals, initial=0):
        track.advance(round(stamp * MS))
    return track


@pytest.mark.parametrize(
    ('intervals', 'tolerance'),
    [
        ([], 20),
        ([10] * 4, 20),  # not known well enough yet
        ([10] * 5, 5),
        ([100] * 16, 20),  # the slop is the smaller one
        ([10, 10, 10, 500, 500, 500], 5),  # frames are lost, never gained: the low median
        ([100] * 30 + [10] * 7, 20),  # of the last 16 intervals 9 are old
        ([100] * 30 + [10] * 8, 5),  # 8 of 16: it has changed its rate
    ],
)
def test_the_slop_is_capped_at_half_the_period(intervals, tolerance):
    assert track_of(intervals, slop=0.02).tolerance == tolerance * MS


@pytest.mark.parametrize(
    ('intervals', 'timeout'),
    [
        ([], 500),
        ([10] * 5, 500),  # at least that
        ([30_000], 500),  # one interval may be anything
        ([200, 200], 1000),  # five periods
        ([30_000, 200], 1000),
    ],
)
def test_a_camera_is_dead_after_five_periods(intervals, timeout):
    track = track_of(intervals, camera_timeout=0.5)
    track.heard_at = 7
    assert track.dead_at == timeout * MS + 7

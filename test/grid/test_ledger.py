"""The equation of the counters."""

from __future__ import annotations

import threading

from fourd_perception.grid.frame import Frame
from fourd_perception.grid.ledger import FrameLedger, Outcome
from hypothesis import given, strategies as st
import pytest


def test_a_received_frame_is_pending_until_it_is_settled():
    ledger = FrameLedger(['left', 'right'])
    ledger.receive('left')
    ledger.receive('left')
    ledger.settle('left', Outcome.USED)
    assert ledger.counts('left') == {
        'received': 2,
        'used': 1,
        'duplicate': 0,
        'late': 0,
        'no_info': 0,
        'invalid': 0,
        'unmatched': 0,
        'below_min_cameras': 0,
        'overwritten': 0,
        'jump': 0,
        'pending': 1,
    }
    assert ledger.counts('right')['received'] == 0


@given(st.lists(st.one_of(st.just('receive'), st.sampled_from(Outcome))))
def test_received_is_the_sum_of_outcomes_and_pending(steps):
    ledger = FrameLedger(['c'])
    pending = 0
    for step in steps:
        if step == 'receive':
            ledger.receive('c')
            pending += 1
        elif pending:
            ledger.settle('c', step)
            pending -= 1
        else:
            with pytest.raises(ValueError, match='0 are pending'):
                ledger.settle('c', step)
    counts = ledger.counts('c')
    assert counts.pop('pending') == pending
    assert counts.pop('received') == sum(counts.values()) + pending


def test_nothing_is_settled_twice():
    ledger = FrameLedger(['c'])
    frames = [Frame('c', stamp, None) for stamp in range(3)]
    for frame in frames:
        ledger.receive(frame.camera)
    ledger.settle_frames(frames, Outcome.OVERWRITTEN)
    with pytest.raises(ValueError, match="cannot settle 1 frames of camera 'c' as used"):
        ledger.settle('c', Outcome.USED)


def test_an_unknown_camera_is_refused_by_name():
    ledger = FrameLedger(['left', 'right'])
    for call in (ledger.receive, ledger.counts, lambda c: ledger.settle(c, Outcome.USED)):
        with pytest.raises(ValueError, match=r"'rear' is not one of the rig \(left, right\)"):
            call('rear')


def test_two_threads_lose_no_count():
    ledger = FrameLedger(['c'])
    received = 20_000
    done = threading.Event()

    def settle() -> None:
        settled = 0
        while settled < received:
            if ledger.counts('c')['pending']:
                ledger.settle('c', Outcome.USED)
                settled += 1
        done.set()

    thread = threading.Thread(target=settle)
    thread.start()
    for _ in range(received):
        ledger.receive('c')
    thread.join(30)
    assert done.is_set()
    assert ledger.counts('c')['used'] == received
    assert ledger.counts('c')['pending'] == 0

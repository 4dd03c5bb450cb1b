"""The slot of one between two threads."""

from __future__ import annotations

import threading
import time

from fourd_perception.grid.slot import LatestSlot


def test_the_newest_wins_and_the_evicted_comes_back():
    slot: LatestSlot[str] = LatestSlot()
    assert slot.put('older') is None
    assert slot.put('newer') == 'older'
    assert slot.take(0) == 'newer'
    assert slot.take(0) is None


def test_clear_hands_back_what_it_drops():
    slot: LatestSlot[str] = LatestSlot()
    slot.put('item')
    assert slot.clear() == 'item'
    assert slot.clear() is None
    assert slot.take(0) is None


def test_take_waits_for_an_item_but_not_for_ever():
    slot: LatestSlot[str] = LatestSlot()
    start = time.monotonic()
    assert slot.take(0.05) is None
    assert time.monotonic() - start >= 0.045
    timer = threading.Timer(0.05, slot.put, ['item'])
    timer.start()
    assert slot.take(30) == 'item'
    assert time.monotonic() - start < 20
    timer.join()


def test_between_two_threads_every_item_is_taken_or_evicted_once_and_in_order():
    slot: LatestSlot[int] = LatestSlot()
    taken: list[int] = []

    def consume() -> None:
        while (item := slot.take(30)) != -1:
            assert item is not None
            taken.append(item)

    thread = threading.Thread(target=consume)
    thread.start()
    evicted = [e for e in map(slot.put, range(20_000)) if e is not None]
    if (last := slot.put(-1)) is not None:
        evicted.append(last)
    thread.join(30)
    assert not thread.is_alive()
    assert taken == sorted(taken)
    assert sorted(taken + evicted) == list(range(20_000))

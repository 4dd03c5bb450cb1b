"""SIGINT and SIGTERM as a wish that is granted between two steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import signal
from types import FrameType


class StopRequest:
    """Which signal has asked for the end, 0 as long as none has."""

    signal = 0


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Take note of the first SIGINT or SIGTERM; torchrun sends more than one."""
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal = request.signal or number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

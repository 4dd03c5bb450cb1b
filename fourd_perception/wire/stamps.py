"""Stamps between messages and integer nanoseconds; they never pass through a float."""

from __future__ import annotations

import operator
from typing import Any

from fourd_perception.wire.message_types import MessageTypes

SECOND = 1_000_000_000
LAST_SECOND = 2**31 - 1


def nanoseconds(time: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(time.sec) * SECOND + int(time.nanosec)


def stamp_of(header: Any) -> int:
    """Stamp of a std_msgs/Header in nanoseconds."""
    return nanoseconds(header.stamp)


def time_of(types: MessageTypes, stamp: int) -> Any:
    """builtin_interfaces/Time of a stamp in nanoseconds.

    Raises TypeError for a float, ValueError outside of what Time can hold.
    """
    seconds, rest = divmod(operator.index(stamp), SECOND)
    if not 0 <= seconds <= LAST_SECOND:
        raise ValueError(
            f'stamp {stamp} ns does not fit builtin_interfaces/Time '
            f'(0 to {LAST_SECOND} s); is it really in nanoseconds since the epoch?'
        )
    return types.message('builtin_interfaces/msg/Time')(sec=seconds, nanosec=rest)


def header_of(types: MessageTypes, stamp: int, frame_id: str) -> Any:
    """std_msgs/Header with a stamp in nanoseconds."""
    return types.message('std_msgs/msg/Header')(stamp=time_of(types, stamp), frame_id=frame_id)

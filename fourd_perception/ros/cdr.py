"""The one field that replay reads out of serialized messages without unpacking them."""

from __future__ import annotations

import struct

NANOSECONDS = 1_000_000_000


def leading_stamp(payload: bytes) -> int:
    """Stamp in nanoseconds of a serialized message that begins with a std_msgs/Header.

    CDR: four bytes of encapsulation, the second of which tells the byte order; then sec (int32)
    and nanosec (uint32).
    """
    order = '<' if payload[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', payload, 4)
    return seconds * NANOSECONDS + nanoseconds

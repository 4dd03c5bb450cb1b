"""Message classes of a recording, without ROS (rosbags)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from rosbags.typesys import get_typestore, Stores
from rosbags.typesys.store import Typestore


@cache
def typestore() -> Typestore:
    """The message definitions that recordings are written with.

    Jazzy's; every type that this package writes is the same from Humble to Lyrical.
    """
    return get_typestore(Stores.ROS2_JAZZY)


class BagTypes:
    """`wire.MessageTypes` over rosbags' message classes."""

    def message(self, name: str) -> Any:
        """The class of a type such as 'sensor_msgs/msg/Image'."""
        return typestore().types[name]

    def octets(self, array: np.ndarray) -> np.ndarray:
        """The bytes of an array as uint8 [N], without a copy where it is contiguous."""
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def doubles(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Numbers as float64 [N]."""
        return np.asarray(values, np.float64).reshape(-1)


def serialise(message: Any) -> bytes:
    """CDR bytes of a message of `BagTypes`, as DDS carries them."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def deserialise(data: bytes, type_name: str) -> Any:
    """A message of `BagTypes` from its CDR bytes."""
    return typestore().deserialize_cdr(data, type_name)

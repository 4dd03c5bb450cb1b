"""Where message classes come from: wire packs messages without importing a ROS library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class MessageTypes(Protocol):
    """Message classes and the field values that fill them quickly.

    Classes take every field as a keyword argument; integer, string and nested fields are plain
    Python values, arrays of numbers are made by `octets` and `doubles`.
    """

    def message(self, name: str) -> Any:
        """The class of a type such as 'sensor_msgs/msg/Image'. Raises LookupError."""

    def octets(self, array: np.ndarray) -> Any:
        """The bytes of an array, row-major, as the value of a `uint8[]` field."""

    def doubles(self, values: Sequence[float] | np.ndarray) -> Any:
        """Numbers, flattened row-major, as the value of a `float64[]` or `float64[N]` field."""

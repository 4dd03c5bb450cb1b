"""The newest diagnostics of a node."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.serialization import deserialize_message

LEVELS = {0: 'ok', 1: 'warn', 2: 'error', 3: 'stale'}


class NodeStatus:
    """Statuses by name, each with `level`, `message` and `values` (text by key)."""

    def __init__(self) -> None:
        self.statuses: dict[str, dict[str, Any]] = {}
        self.received = 0

    def take(self, payload: bytes) -> None:
        """Read a serialized DiagnosticArray."""
        array: DiagnosticArray = deserialize_message(payload, DiagnosticArray)
        self.received += 1
        for status in array.status:
            self.statuses[status.name] = _plain(status)

    def total(self, key: str) -> int:
        """Sum of a whole-numbered value over all statuses that hold it."""
        found = (status['values'].get(key) for status in self.statuses.values())
        return sum(int(value) for value in found if value is not None)

    @property
    def errors(self) -> list[str]:
        """Messages of all statuses with level ERROR, each with the status's name."""
        return [
            f'{name}: {status["message"]}'
            for name, status in self.statuses.items()
            if status['level'] == 'error'
        ]


def _plain(status: DiagnosticStatus) -> dict[str, Any]:
    return {
        # The generated class holds a byte as bytes.
        'level': LEVELS[int.from_bytes(status.level, 'little')],
        'message': status.message,
        'values': {value.key: value.value for value in status.values},
    }

"""The slot between the executor thread and the inference thread."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class LatestSlot(Generic[Item]):
    """Holds one item at most; a newer one evicts it. Safe to share by threads.

    What is evicted is handed back, so that whoever put it there can count it.
    """

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._item: Item | None = None

    def put(self, item: Item) -> Item | None:
        """Store the item, wake a waiting `take`, and return the item that it evicts, if any."""
        with self._filled:
            evicted, self._item = self._item, item
            self._filled.notify()
            return evicted

    def take(self, timeout: float) -> Item | None:
        """Remove and return the item, waiting up to `timeout` seconds; None when none came."""
        with self._filled:
            self._filled.wait_for(lambda: self._item is not None, timeout)
            item, self._item = self._item, None
            return item

    def clear(self) -> Item | None:
        """Empty the slot and return what lay in it, if anything."""
        with self._filled:
            evicted, self._item = self._item, None
            return evicted

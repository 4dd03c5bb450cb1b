"""What /tf and /tf_static have told, for both threads."""

from __future__ import annotations

from collections import deque
from threading import Lock

from fourd_perception.geometry.transform_tree import TransformError, TransformTree
from fourd_perception.wire.transforms import Edge
import numpy as np

SENT = 256  # own transforms remembered until they come back


class TfBuffer:
    """The transforms of others; our own, which come back over /tf, are kept out.

    tree:  see `TransformTree`; it holds foreign transforms only
    fault: the newest transform that could not be taken, and why; empty while there is none
    """

    def __init__(self) -> None:
        self.tree = TransformTree()
        self.fault = ''
        self._static: dict[str, Edge] = {}
        self._sent: deque[tuple[object, ...]] = deque(maxlen=SENT)
        self._lock = Lock()

    def sending(self, edges: list[Edge]) -> None:
        """Announce what we are about to broadcast."""
        with self._lock:
            self._sent.extend(_key(edge) for edge in edges)

    def receive(self, edges: list[Edge], static: bool) -> None:
        """Take the edges of one message."""
        for edge in edges:
            if not static and self._is_own(edge):
                continue
            if static:
                self._static[edge.child] = edge
            self._set(edge, static)

    def restart(self) -> None:
        """Forget what time has moved: after a jump of the clock.

        Static transforms stay: whoever publishes them does so once, and does not see the jump.
        """
        self.tree.clear()
        self.fault = ''
        for edge in self._static.values():
            self._set(edge, static=True)

    def find(self, target: str, source: str, stamp: int | None) -> np.ndarray | None:
        """target_from_source [4, 4], or None where TF does not tell."""
        try:
            return self.tree.lookup(target, source, stamp)
        except TransformError:
            return None

    def _is_own(self, edge: Edge) -> bool:
        # By value: another broadcaster, or a recording of ours, may use the same two names.
        with self._lock:
            try:
                self._sent.remove(_key(edge))
            except ValueError:
                return False
            return True

    def _set(self, edge: Edge, static: bool) -> None:
        try:
            self.tree.set(edge.parent, edge.child, edge.parent_from_child, edge.stamp, static)
        except TransformError as error:
            self.fault = str(error)


def _key(edge: Edge) -> tuple[object, ...]:
    return edge.parent, edge.child, edge.stamp, *edge.parent_from_child[:3, 3].tolist()

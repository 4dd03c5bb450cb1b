"""The tree of coordinate frames that TF describes: who is whose child, and where, when."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from fourd_perception.geometry.poses import interpolate_pose, invert
import numpy as np

HISTORY = 1000  # transforms kept per moving frame: 10 s at 100 Hz


class TransformError(LookupError):
    """A transform that the tree cannot give; the text says in plain words what is missing."""


@dataclass(eq=False)
class _Edge:
    """What is known of one child frame; stamps ascend and run parallel to poses."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[np.ndarray] = field(default_factory=list)

    def add(self, stamp: int, parent_from_child: np.ndarray) -> None:
        if self.static:
            self.stamps, self.poses = [stamp], [parent_from_child]
            return
        at = bisect_left(self.stamps, stamp)
        if at < len(self.stamps) and self.stamps[at] == stamp:
            self.poses[at] = parent_from_child
            return
        self.stamps.insert(at, stamp)
        self.poses.insert(at, parent_from_child)
        if len(self.stamps) > HISTORY:
            del self.stamps[0], self.poses[0]

    def at(self, child: str, stamp: int | None) -> np.ndarray:
        """parent_from_child at a stamp (None: the newest), interpolated, never extrapolated."""
        if self.static or stamp is None:
            return self.poses[-1]
        after = bisect_left(self.stamps, stamp)
        if after == len(self.stamps) or (after == 0 and self.stamps[0] != stamp):
            edge, word = (
                (self.stamps[0], 'before the oldest')
                if after == 0
                else (self.stamps[-1], 'after the newest')
            )
            raise TransformError(
                f'{self.parent!r} from {child!r} at {stamp} ns: {abs(stamp - edge) / 1e9:.3f} s '
                f'{word} transform known'
            )
        if self.stamps[after] == stamp:
            return self.poses[after]
        before = after - 1
        span = self.stamps[after] - self.stamps[before]
        fraction = (stamp - self.stamps[before]) / span
        return interpolate_pose(self.poses[before], self.poses[after], fraction)


class TransformTree:
    """Transforms by child frame, as on /tf and /tf_static. Thread-safe; memory is bounded.

    A frame has one parent: a transform to another parent replaces what was known of the child.
    """

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}
        self._lock = Lock()

    def set(
        self, parent: str, child: str, parent_from_child: np.ndarray, stamp: int, static: bool
    ) -> None:
        """Learn one transform [4, 4]; stamp in ns (it means nothing when static).

        Raises TransformError when it would close a loop.
        """
        with self._lock:
            if child in self._chain(parent):
                raise TransformError(
                    f'{parent!r} cannot be the parent of {child!r}: it hangs below it already'
                )
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent or edge.static != static:
                edge = self._edges[child] = _Edge(parent, static)
            edge.add(stamp, np.array(parent_from_child, float))

    def lookup(self, target: str, source: str, stamp: int | None = None) -> np.ndarray:
        """target_from_source [4, 4] at a stamp in ns, or the newest known of every link.

        Raises TransformError when the frames are not connected or the time is not covered.
        """
        with self._lock:
            up, down = self._chain(source), self._chain(target)
            common = next((frame for frame in up if frame in down), None)
            if common is None:
                raise TransformError(self._why_unconnected(target, source, up[-1], down[-1]))
            common_from_source = self._climb(up[: up.index(common)], stamp)
            common_from_target = self._climb(down[: down.index(common)], stamp)
        return invert(common_from_target) @ common_from_source

    def parent_of(self, frame: str) -> str | None:
        """The parent of a frame; None for a root or an unknown frame."""
        with self._lock:
            edge = self._edges.get(frame)
        return None if edge is None else edge.parent

    def root_of(self, frame: str) -> str:
        """The last ancestor of a frame: itself when it has no parent."""
        with self._lock:
            return self._chain(frame)[-1]

    @property
    def frames(self) -> frozenset[str]:
        """Every frame ever named, as a child or as a parent."""
        with self._lock:
            return self._frames()

    def clear(self) -> None:
        """Forget the moving transforms and the static ones alike."""
        with self._lock:
            self._edges.clear()

    def _frames(self) -> frozenset[str]:
        return frozenset(self._edges) | {edge.parent for edge in self._edges.values()}

    def _ancestors(self, frame: str) -> Iterator[str]:
        yield frame
        while frame in self._edges:
            frame = self._edges[frame].parent
            yield frame

    def _chain(self, frame: str) -> list[str]:
        return list(self._ancestors(frame))

    def _climb(self, frames: list[str], stamp: int | None) -> np.ndarray:
        """Transform to the frame above the last of `frames` from the first of them."""
        out = np.eye(4)
        for frame in frames:
            out = self._edges[frame].at(frame, stamp) @ out
        return out

    def _why_unconnected(
        self, target: str, source: str, source_root: str, target_root: str
    ) -> str:
        known = self._frames()
        unknown = [repr(frame) for frame in (target, source) if frame not in known]
        if unknown:
            return f'no transform names the frame {" nor ".join(unknown)}'
        return (
            f'{target!r} and {source!r} are not connected: the one hangs below {target_root!r}, '
            f'the other below {source_root!r}'
        )

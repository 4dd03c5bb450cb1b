"""The view x time grid that a network reads."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.grid.frame import Frame, TimeSlice
import numpy as np

MISSING_STAMP = -1


@dataclass(frozen=True, eq=False)
class VisualGrid:
    """V views x T time steps of frames, oldest slice first; cells may be missing.

    Rows are cameras in the order of the parameter `cameras`; every slice names the same cameras.
    """

    slices: tuple[TimeSlice, ...]

    def __post_init__(self) -> None:
        if not self.slices:
            raise ValueError('a visual grid needs at least one time slice, got none')
        if any(s.cameras != self.cameras for s in self.slices):
            raise ValueError('all slices of a visual grid must list the same cameras in order')

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the views, V of them."""
        return self.slices[-1].cameras

    @property
    def shape(self) -> tuple[int, int]:
        """(V, T)."""
        return len(self.cameras), len(self.slices)

    def frame(self, view: int, time: int) -> Frame | None:
        """The frame of one cell, or None."""
        return self.slices[time].frames[view]

    @property
    def present(self) -> np.ndarray:
        """Which cells hold a frame, bool [V, T]."""
        return self.stamps != MISSING_STAMP

    @property
    def stamps(self) -> np.ndarray:
        """Stamp of each cell in nanoseconds, int64 [V, T]; `MISSING_STAMP` where missing."""
        return np.array(
            [
                [MISSING_STAMP if frame is None else frame.stamp for frame in row]
                for row in zip(*(s.frames for s in self.slices))
            ],
            dtype=np.int64,
        )

    @property
    def view_id(self) -> np.ndarray:
        """Row number of each cell, int [V, T]."""
        return np.broadcast_to(np.arange(self.shape[0])[:, None], self.shape)

    @property
    def time_id(self) -> np.ndarray:
        """Column number of each cell, int [V, T]."""
        return np.broadcast_to(np.arange(self.shape[1])[None, :], self.shape)

    @property
    def reference(self) -> tuple[int, int]:
        """(view, time) of the cell whose camera is the network's world.

        The oldest present cell of the newest slice's reference camera, else of the camera with
        most present cells (design section 3).
        """
        present = self.present
        view = self.cameras.index(self.slices[-1].reference)
        if not present[view].any():
            view = int(present.sum(axis=1).argmax())
        return view, int(present[view].argmax())

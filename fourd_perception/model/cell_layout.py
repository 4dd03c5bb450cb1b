"""Which cells of the view x time grid a sequence of frames stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CellLayout:
    """Identifiers of the S present cells, in the order in which their tokens are laid out.

    Missing cells are simply not listed, so that they cannot change anything for the others. The
    identifiers never attend: they only decide who may read whom (4D-VGGT B.2).

    view_id, time_id: row and column of each cell
    reference: position in the sequence of the cell whose camera is the world (token slot 0)
    """

    view_id: tuple[int, ...]
    time_id: tuple[int, ...]
    reference: int = 0

    def __post_init__(self) -> None:
        cells = list(zip(self.view_id, self.time_id))
        if not cells or len(self.view_id) != len(self.time_id):
            raise ValueError(
                f'a grid needs one view and one time per cell and at least one cell, got '
                f'{len(self.view_id)} views and {len(self.time_id)} times'
            )
        if len(set(cells)) != len(cells):
            raise ValueError(f'cells {cells} repeat; every (view, time) may stand once')
        if not 0 <= self.reference < len(cells):
            raise ValueError(
                f'reference cell {self.reference} is not among the {len(cells)} cells'
            )

    @staticmethod
    def sequence(frames: int) -> CellLayout:
        """One camera, `frames` instants, the first one the reference."""
        return CellLayout((0,) * frames, tuple(range(frames)))

    @staticmethod
    def of_grid(present: np.ndarray, reference: tuple[int, int]) -> CellLayout:
        """The present cells of a grid bool [V, T], in (time, view) order.

        Raises ValueError for a missing reference cell and for a view without any frame.
        """
        empty = np.flatnonzero(~present.any(axis=1)).tolist()
        if empty:
            raise ValueError(
                f'view {empty[0]} has no frame at any of the {present.shape[1]} instants; leave '
                'it out of the grid'
            )
        if not present[reference]:
            raise ValueError(f'the reference cell {reference} is missing; name a present one')
        times, views = np.nonzero(present.T)
        cells = list(zip(views.tolist(), times.tolist()))
        return CellLayout(
            tuple(v for v, _ in cells), tuple(t for _, t in cells), cells.index(reference)
        )

    def __len__(self) -> int:
        return len(self.view_id)

    @property
    def instants(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the cells of each instant, oldest first."""
        return tuple(
            tuple(i for i, t in enumerate(self.time_id) if t == time)
            for time in sorted(set(self.time_id))
        )

    def temporal_neighbours(self, window: int) -> np.ndarray:
        """Int [S, window]: positions of the same view's cells at t - w/2 .. t + w/2.

        -1 where the neighbour is missing or outside the grid.
        """
        index = {cell: i for i, cell in enumerate(zip(self.view_id, self.time_id))}
        half = window // 2
        return np.array(
            [
                [index.get((v, t + offset), -1) for offset in range(-half, half + 1)]
                for v, t in zip(self.view_id, self.time_id)
            ]
        )

"""From a grid to the list of its present cells that networks read, and back."""

from __future__ import annotations

from dataclasses import replace
import math

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.prediction import GridTensors
import numpy as np
import torch


class GridCells:
    """The S present cells of a grid in the order of the layout: instant by instant.

    keys:  (camera, stamp) of each
    dense: the cells whose maps are wanted
    around: these and the ones an instant before them
    pairs: (older, newer) cells of one view in neighbouring columns
    """

    def __init__(self, grid: GridTensors) -> None:
        # A camera that is silent throughout takes no part; the others keep their rows.
        rows = np.flatnonzero(grid.present.any(axis=1)).tolist()
        reference = rows.index(grid.reference[0]), grid.reference[1]
        layout = CellLayout.of_grid(grid.present[rows], reference)
        self.layout = replace(layout, view_id=tuple(rows[v] for v in layout.view_id))
        self._grid = grid
        views, times = self.layout.view_id, self.layout.time_id
        self._view, self._time = torch.tensor(views), torch.tensor(times)
        self.keys = [(grid.cameras[v], int(grid.stamps[v, t])) for v, t in zip(views, times)]
        columns = grid.present.shape[1]
        oldest = columns - (columns if grid.dense_columns is None else grid.dense_columns)
        # Instants come in order, so the newest cells are the last ones.
        self.dense = slice(sum(t < oldest for t in times), None)
        self.around = slice(sum(t < oldest - 1 for t in times), None)
        index = {cell: i for i, cell in enumerate(zip(views, times))}
        self.pairs = [(i, index[v, t + 1]) for (v, t), i in index.items() if (v, t + 1) in index]

    def images(self) -> torch.Tensor:
        """[S, 3, H, W]."""
        return self._grid.images[self._view, self._time]

    def intrinsics(self) -> np.ndarray:
        """float64 [S, 3, 3] in pixels of the images, NaN where unknown."""
        return self._grid.intrinsics[list(self.layout.view_id)]

    def maps(self, values: torch.Tensor, cells: slice | list[int]) -> torch.Tensor:
        """Values [n, ...] of some cells as [V, T, ...] on the grid's device, NaN elsewhere."""
        shape, device = self._grid.present.shape, self._grid.images.device
        out = torch.full((*shape, *values.shape[1:]), math.nan, device=device)
        out[self._view[cells], self._time[cells]] = values.to(device)
        return out

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Values [S, ...] of all cells as float64 [V, T, ...], NaN in missing ones."""
        out = np.full((*self._grid.present.shape, *values.shape[1:]), math.nan)
        out[self.layout.view_id, self.layout.time_id] = values
        return out

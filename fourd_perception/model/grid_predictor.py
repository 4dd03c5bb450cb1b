"""What all predictors around networks have in common: checks, memory, shared work, flows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial

from fourd_perception.model.cell_pairs import CellPairs
from fourd_perception.model.grid_cells import GridCells
from fourd_perception.model.grid_check import check_grid
from fourd_perception.model.heads.flow import FlowModule
from fourd_perception.model.known_cells import KnownCells, Pair
from fourd_perception.model.prediction import GridTensors, Prediction, PredictorInfo
import torch


class GridPredictor(ABC):
    """Reads grids with a network, encoding each frame once however many windows it is in.

    Windows share encoder features and flows, which depend on the pixels alone; trunk and heads
    run anew for every window. Maps come for the columns that the grid asks for, cameras for all.
    """

    def __init__(
        self, info: PredictorInfo, flow_module: FlowModule | None, device: torch.device
    ) -> None:
        self._info = info
        self._flow_module = flow_module
        self._device = device
        self._known = KnownCells()

    @property
    def info(self) -> PredictorInfo:
        """Name, patch size, licence, and what the weights give."""
        return self._info

    @torch.no_grad()
    def predict(self, grid: GridTensors) -> Prediction:
        """Read the grid; the result lies on the device of `grid.images`.

        Raises ValueError, in plain words, for a grid that `check_grid` refuses, and MemoryError
        when the device cannot hold it.
        """
        check_grid(grid, self._info.patch)
        cells = GridCells(grid)
        try:
            return self._read(cells, cells.images().to(self._device, torch.float32))
        except torch.cuda.OutOfMemoryError as error:
            self._known.clear()
            views, times, _, height, width = grid.images.shape
            raise MemoryError(
                f'{self._device} has not enough memory for {views} cameras x {times} instants of '
                f'{width}x{height}: lower pixel_budget or window.length'
            ) from error

    @abstractmethod
    def _read(self, cells: GridCells, images: torch.Tensor) -> Prediction:
        """The prediction for the cells whose images [S, 3, H, W] are given."""

    def _flows(self, cells: GridCells, images: torch.Tensor) -> list[Pair]:
        """Of every pair of the cells, in their order; one at a time, as each may need much."""
        module = self._flow_module
        if module is None:
            return []

        def compute(older: int, newer: int) -> Pair:
            there, back = module(images[older, None], images[newer, None])
            return tuple(torch.cat([e.flow, e.log_scale], dim=1) for e in (there, back))

        return [
            self._known.flows(cells.keys[older], cells.keys[newer], partial(compute, older, newer))
            for older, newer in cells.pairs
        ]

    def _around(self, cells: GridCells, images: torch.Tensor, flows: list[Pair]) -> CellPairs:
        """The pairs among `cells.around`, counted from its first cell."""
        first = cells.around.start
        chosen = [
            (older - first, newer - first, *ways)
            for (older, newer), ways in zip(cells.pairs, flows)
            if older >= first
        ]
        nothing = images.new_zeros(0, 3, *images.shape[2:])
        out, home = (torch.cat([nothing, *(pair[2 + way] for pair in chosen)]) for way in (0, 1))
        return CellPairs.of(
            [(older, newer) for older, newer, *_ in chosen],
            (out[:, :2], out[:, 2:]),
            (home[:, :2], home[:, 2:]),
        )

    def _flow_maps(
        self, cells: GridCells, images: torch.Tensor, flows: list[Pair]
    ) -> dict[str, torch.Tensor]:
        """The fields of a `Prediction` that tell of flow; none without a flow module."""
        if self._flow_module is None:
            return {}
        nothing = images.new_zeros(0, 3, *images.shape[2:])
        maps = {}
        for way, name in enumerate(('flow_forward', 'flow_backward')):
            found = torch.cat([nothing, *(flow[way] for flow in flows)])
            places = [pair[way] for pair in cells.pairs]
            maps[name] = cells.maps(found[:, :2], places)
            maps[f'{name}_error'] = cells.maps(found[:, 2].exp(), places)
        return maps

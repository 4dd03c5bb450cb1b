"""Who reads whom on a grid, worked out on the host before the network runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.cross_time import Neighbours
import torch

Slices = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class GridPlan:
    """What the layout of a grid alone decides; S cells in T slices.

    A slice is an instant at which a camera delivered; slices are counted without gaps, so that
    an empty instant changes nothing. A slice's leader is its present cell of the lowest view:
    the camera that the poses of the slice are relative to.

    slices:     views of the cells of each slice, oldest first
    past:       the same of earlier slices, of which only cached keys are left (streaming)
    band:       slices that a slice may read, itself and the ones before it; None: all of them
    leader_of:  int64 [S], position of the leader of each cell's slice
    is_leader:  bool [S]
    leaders:    int64 [T], position of each slice's leader
    slice_of:   int64 [S], number of each cell's slice
    neighbours: of the cross-time branch: positions [S, window] among the cells of `remembered`
                followed by this grid's own, and whether there is one
    remembered: number of past cells that the cross-time branch can reach
    """

    slices: Slices
    past: Slices
    band: int | None
    leader_of: torch.Tensor
    is_leader: torch.Tensor
    leaders: torch.Tensor
    slice_of: torch.Tensor
    neighbours: Neighbours
    remembered: int


def grid_plan(
    layout: CellLayout,
    window: int,
    device: torch.device | str,
    band: int | None = None,
    past: Slices = (),
) -> GridPlan:
    """The plan of a layout; `past` lists the views of slices seen before, oldest first.

    With a band no cell reads a later slice, in the cross-time branch neither: there the later
    half of the window counts as missing, as at the end of any grid, so that one set of weights
    serves both ways. Raises ValueError when the band is none, or cells are not in time order.
    """
    if band is not None and band < 1:
        raise ValueError(f'a band of {band} slices leaves nothing to read; use 1 or more')
    if band is not None and [i for at in layout.instants for i in at] != list(range(len(layout))):
        raise ValueError(
            'cells of a banded grid must stand in time order; lay them out with CellLayout.of_grid'
        )
    slices = tuple(tuple(layout.view_id[i] for i in at) for at in layout.instants)
    slice_of = {i: t for t, at in enumerate(layout.instants) for i in at}
    leaders = [min(at, key=lambda i: layout.view_id[i]) for at in layout.instants]
    leader_of = [leaders[slice_of[i]] for i in range(len(layout))]

    half = window // 2
    reachable = past[max(0, len(past) - half) :]
    places = [(view, t - len(reachable)) for t, views in enumerate(reachable) for view in views]
    remembered = len(places)
    places += [(layout.view_id[i], slice_of[i]) for i in range(len(layout))]
    at_place = {place: i for i, place in enumerate(places)}
    last = half if band is None else 0
    index, present = [], []
    for own in range(remembered, len(places)):
        view, t = places[own]
        near = [
            at_place.get((view, t + offset)) if offset <= last else None
            for offset in range(-half, half + 1)
        ]
        index.append([own if i is None else i for i in near])
        present.append([i is not None for i in near])

    def tensor(values: Sequence[object]) -> torch.Tensor:
        return torch.tensor(values, device=device)

    return GridPlan(
        slices=slices,
        past=past,
        band=band,
        leader_of=tensor(leader_of),
        is_leader=tensor([i == leader for i, leader in enumerate(leader_of)]),
        leaders=tensor(leaders),
        slice_of=tensor([slice_of[i] for i in range(len(layout))]),
        neighbours=(tensor(index), tensor(present)),
        remembered=remembered,
    )

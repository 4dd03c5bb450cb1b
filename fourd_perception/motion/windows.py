"""Which other cells the motion cue of a cell compares it with (VGGT4D C.2, C.11)."""

from __future__ import annotations

from collections.abc import Sequence

from fourd_perception.model.cell_layout import CellLayout

RELEASED_OFFSETS = (-6, -4, -2, 2, 4, 6)
PAPER_OFFSETS = (-3, -2, -1, 1, 2, 3)  # without gaps; the paper does not say how far it reaches


def cue_windows(
    layout: CellLayout, offsets: Sequence[int] = RELEASED_OFFSETS
) -> tuple[tuple[int, ...], ...]:
    """For each of the S cells the positions of its window, along its own view's time.

    offsets: in time steps, without 0; cells that are missing or outside the grid drop out. Where
    none is left, the nearest cells of the view before and after stand in. A cell that is the only
    one of its view has an empty window, and no cue.
    """
    if 0 in offsets or not offsets:
        raise ValueError(f'cue offsets {list(offsets)}; give time steps other than 0')
    index = {cell: i for i, cell in enumerate(zip(layout.view_id, layout.time_id))}
    windows = []
    for view, time in zip(layout.view_id, layout.time_id):
        window = tuple(
            index[view, time + offset] for offset in offsets if (view, time + offset) in index
        )
        windows.append(window or _nearest(index, view, time))
    return tuple(windows)


def _nearest(index: dict[tuple[int, int], int], view: int, time: int) -> tuple[int, ...]:
    times = [t for v, t in index if v == view]
    before = max((t for t in times if t < time), default=None)
    after = min((t for t in times if t > time), default=None)
    return tuple(index[view, t] for t in (before, after) if t is not None)

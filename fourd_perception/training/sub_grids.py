"""Sub-grids V x T of clips, as training sees them: few or many views, holes, strides, bands.

All samples of a step have one grid, drawn from the step's number, so that they make one batch and
all ranks agree (4D-VGGT B.2, training.md 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from fourd_perception.geometry.clips import Clips, UNKNOWN
from fourd_perception.model.cell_layout import CellLayout
import numpy as np
import torch


@dataclass(frozen=True)
class GridSettings:
    """Which grids are drawn; shares are of the steps.

    frames:   fewest and most cells of a grid without a band
    views:    most views
    single:   share with one view
    missing:  share of the grids of several views in which cells are missing
    strided:  share of the grids in which every second instant is left out
    banded:   share of causal grids: one view, `slices` instants, each reading `band` of them
    portrait: share of the grids whose images stand upright
    """

    frames: tuple[int, int] = (2, 8)
    views: int = 4
    single: float = 0.6
    missing: float = 0.3
    strided: float = 0.1
    banded: float = 0.15
    slices: int = 12
    band: int = 4
    portrait: float = 0.2

    def __post_init__(self) -> None:
        fewest, most = self.frames
        if not 1 <= fewest <= most:
            raise ValueError(f'grids of {fewest} to {most} frames; use 1 <= fewest <= most')
        if self.views < 1 or self.slices < 1 or self.band < 1:
            raise ValueError(
                f'{self.views} views, {self.slices} slices, a band of {self.band}; use 1 or more'
            )


@dataclass(frozen=True)
class SubGrid:
    """A grid to cut out of clips of `views` x `instants` cells.

    columns: instants that are kept, rising
    present: bool [views][columns], cells that are kept, at least one
    band:    slices that a slice may read, see `grid_plan`; None: all
    """

    views: int
    instants: int
    columns: tuple[int, ...]
    present: tuple[tuple[bool, ...], ...]
    band: int | None = None
    portrait: bool = False

    def size(self, landscape: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the images, given those of a landscape one."""
        height, width = landscape
        return (width, height) if self.portrait else landscape


def draw_sub_grid(settings: GridSettings, choices: np.random.Generator) -> SubGrid:
    """One grid; the same for the same state of `choices`."""
    portrait = bool(choices.random() < settings.portrait)
    if choices.random() < settings.banded:
        columns = tuple(range(settings.slices))
        row = (True,) * settings.slices
        return SubGrid(1, settings.slices, columns, (row,), settings.band, portrait)
    views, columns_count = _shape(settings, choices)
    stride = 2 if choices.random() < settings.strided else 1
    columns = tuple(range(0, stride * columns_count, stride))
    present = np.ones((views, columns_count), bool)
    if views > 1 and choices.random() < settings.missing:
        present = _with_holes(present, settings.frames[0], choices)
    rows = tuple(tuple(bool(cell) for cell in row) for row in present)
    return SubGrid(views, columns[-1] + 1, columns, rows, None, portrait)


def _shape(settings: GridSettings, choices: np.random.Generator) -> tuple[int, int]:
    """Views and instants, their product within the limits wherever these allow it."""
    fewest, most = settings.frames
    single = settings.views == 1 or most == 1 or choices.random() < settings.single
    views = 1 if single else int(choices.integers(2, min(settings.views, most) + 1))
    least = -(-fewest // views)
    return views, int(choices.integers(least, max(least, most // views) + 1))


def _with_holes(present: np.ndarray, fewest: int, choices: np.random.Generator) -> np.ndarray:
    """The grid without up to a third of its cells, but never without a view or an instant."""
    present = present.copy()
    holes = int(choices.integers(1, max(1, present.size // 3) + 1))
    for cell in choices.permutation(present.size)[:holes]:
        view, column = divmod(int(cell), present.shape[1])
        alone = present[view].sum() == 1 or present[:, column].sum() == 1
        if not alone and present.sum() > fewest:
            present[view, column] = False
    return present


def cut_out(clips: Clips, grid: SubGrid) -> Clips:
    """The cells of the grid; flow is known only between instants that were neighbours before.

    The mask stays that of the whole clip: what moves while nobody looks is told as moving.
    Raises ValueError for clips of another shape.
    """
    shape = tuple(clips.present.shape[1:])
    if shape != (grid.views, grid.instants):
        raise ValueError(
            f'clips of {shape[0]} views and {shape[1]} instants, the grid is cut out of '
            f'{grid.views} and {grid.instants}; draw clips of that shape'
        )
    columns = torch.tensor(grid.columns, device=clips.present.device)
    kept = {
        f.name: getattr(clips, f.name).index_select(1 if f.name == 'track_points' else 2, columns)
        for f in fields(clips)
        if f.name != 'metric'
    }
    chosen = torch.tensor(grid.present, device=columns.device)
    cut = Clips(**kept, metric=clips.metric)
    cut = replace(cut, present=cut.present & chosen)
    adjacent = (columns.diff() == 1).tolist()
    return _without_flow(cut, forward=[*adjacent, False], backward=[False, *adjacent])


def _without_flow(clips: Clips, forward: list[bool], backward: list[bool]) -> Clips:
    """The clips with the flow of some columns unknown, each way by a list of those known."""
    for known, flow, hidden in (
        (forward, clips.flow_forward, clips.occluded_forward),
        (backward, clips.flow_backward, clips.occluded_backward),
    ):
        unknown = ~torch.tensor(known, device=flow.device)
        flow[:, :, unknown] = torch.nan
        hidden[:, :, unknown] = UNKNOWN
    return clips


def layouts(clips: Clips) -> list[tuple[CellLayout, torch.Tensor]]:
    """Clips by the cells that are present: the layout, and int64 [n] which clips have it.

    Clips without any cell are in none of them.
    """
    groups: dict[bytes, list[int]] = {}
    present = clips.present.cpu().numpy()
    for i, cells in enumerate(present):
        if cells.any():
            groups.setdefault(cells.tobytes(), []).append(i)
    device = clips.present.device
    return [
        (layout_of(present[members[0]]), torch.tensor(members, device=device))
        for members in groups.values()
    ]


def layout_of(present: np.ndarray) -> CellLayout:
    """The present cells of a grid bool [V, T], instant by instant."""
    times, views = np.nonzero(present.T)
    return CellLayout(tuple(views.tolist()), tuple(times.tolist()))

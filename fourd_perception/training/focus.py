"""Which cells of a grid are decoded in a step, and between which of them flow is estimated."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.cell_layout import CellLayout
import numpy as np

# Three instants in a row show the mask head both ways from the middle one.
SHARE_IN_A_ROW = 0.7


@dataclass(frozen=True)
class Focus:
    """A part of the cells of a layout.

    cells: their positions in the layout
    pairs: (older, newer), neighbours in time of one view, as positions in `cells`
    """

    cells: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def sides(self) -> tuple[list[int], list[int]]:
        """Older and newer cells of the pairs, as positions in the layout."""
        older, newer = ([self.cells[pair[i]] for pair in self.pairs] for i in (0, 1))
        return older, newer

    @property
    def paired(self) -> list[int]:
        """Cells of some pair, as positions in `cells`."""
        return sorted({i for pair in self.pairs for i in pair})


def draw_focus(layout: CellLayout, cells: int, choices: np.random.Generator) -> Focus:
    """Two pairs wherever there are two, most often in a row; then other cells up to `cells`."""
    at = {cell: i for i, cell in enumerate(zip(layout.view_id, layout.time_id))}
    pairs = [(i, at[v, t + 1]) for (v, t), i in at.items() if (v, t + 1) in at]
    rows = [(a, b) for a in pairs for b in pairs if a[1] == b[0]]
    if rows and choices.random() < SHARE_IN_A_ROW:
        drawn = list(rows[int(choices.integers(len(rows)))])
    else:
        drawn = [pairs[i] for i in choices.permutation(len(pairs))[:2]]
    chosen = sorted({i for pair in drawn for i in pair})
    others = [i for i in range(len(layout)) if i not in chosen]
    more = choices.permutation(len(others))[: max(0, cells - len(chosen))]
    chosen += [others[i] for i in more]
    return Focus(
        tuple(chosen), tuple((chosen.index(older), chosen.index(newer)) for older, newer in drawn)
    )

"""One picture of what was found in some images: depth, what moves, flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from fourd_perception.engine.scene_update import Label
from fourd_perception.viz.colour import depth_to_rgb, flow_range, flow_to_rgb, label_overlay
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

COLUMNS = ('image', 'depth, near is bright', 'what moves', 'flow')
# Inches.
CELL, GAP, MARGIN, HEADING, NOTICE = 2.5, 0.06, 0.3, 0.75, 0.4
MOST_HEIGHT = 3.4


class Answered(Protocol):
    """What was found in one image, all of one size; None where nothing was."""

    @property
    def name(self) -> str:
        """Of the row."""

    @property
    def image(self) -> np.ndarray:
        """uint8 [h, w, 3] RGB."""

    @property
    def depth(self) -> np.ndarray | None:
        """Float [h, w] of any scale, NaN unknown."""

    @property
    def dynamic(self) -> np.ndarray | None:
        """Bool [h, w]."""

    @property
    def flow(self) -> np.ndarray | None:
        """Float [h, w, 2], pixels, NaN unknown."""

    @property
    def longest(self) -> float | None:
        """Pixels of full colour, where rows are to be compared; None: as suits the flow."""


def answer_sheet(rows: Sequence[Answered], title: str, notice: str = '') -> np.ndarray:
    """Draw the rows one below the other; uint8 [H, W, 3] RGB.

    notice: what the reader must know, such as that the weights are untrained; a red band
    """
    heights = [min(CELL * r.image.shape[0] / r.image.shape[1], MOST_HEIGHT) for r in rows]
    top = HEADING + (NOTICE if notice else 0.0)
    width = 2 * MARGIN + len(COLUMNS) * (CELL + GAP)
    height = top + sum(heights) + GAP * len(rows) + MARGIN
    figure = Figure((width, height), dpi=80, facecolor='white')
    place: dict[str, Any] = {'va': 'top', 'weight': 'bold'}
    figure.text(MARGIN / width, 1 - 0.12 / height, title, size=14, **place)
    if notice:
        red: dict[str, Any] = {'color': 'white', 'backgroundcolor': 'firebrick', **place}
        figure.text(MARGIN / width, 1 - 0.48 / height, f' {notice} ', size=11, **red)
    for number, (row, cell_height) in enumerate(zip(rows, heights)):
        top += cell_height + GAP
        for column, (heading, picture) in enumerate(zip(COLUMNS, _pictures(row))):
            left = (MARGIN + column * (CELL + GAP)) / width
            box = left, 1 - top / height, CELL / width, cell_height / height
            axes = figure.add_axes(box, xticks=[], yticks=[])
            if number == 0:
                axes.set_title(heading, size=11)
            if column == 0:
                axes.set_ylabel(row.name, size=9)
            if picture is None:
                axes.set_axis_off()
            else:
                axes.imshow(picture, interpolation='nearest')
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _pictures(row: Answered) -> tuple[np.ndarray | None, ...]:
    """Paint the cells of a row, in the order of `COLUMNS`; the flow says what full colour is."""
    mask = flow = None
    if row.dynamic is not None:
        label = np.where(row.dynamic, Label.DYNAMIC, Label.STATIC).astype(np.uint8)
        mask = label_overlay(row.image, label)
    if row.flow is not None:
        flow = flow_to_rgb(row.flow, row.longest or flow_range(row.flow))
    return row.image, None if row.depth is None else depth_to_rgb(row.depth), mask, flow

"""One large picture of a replay: every output of every camera, the cloud, the trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
from fourd_perception.engine.scene_update import Label
from fourd_perception.viz.colour import (
    confidence_to_rgb,
    depth_range,
    depth_to_rgb,
    flow_range,
    flow_to_rgb,
    label_overlay,
)
from fourd_perception.viz.plan import (
    CloudView,
    draw_cloud,
    draw_trajectory,
    FAINT,
    INK,
    no_data,
    Trajectory,
)
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

DPI = 110
# Inches.
MARGIN = 0.35
NAME_WIDTH = 0.45
GAP = 0.12
COLUMN_WIDTH = 3.1
MIN_COLUMN_WIDTH = 2.3
MAX_ROW_HEIGHT = 3.3
HEADING_HEIGHT = 0.75
PLAN_HEIGHT = 6.2
COLUMNS = ('image', 'depth', 'confidence', 'labels', 'flow')


@dataclass(frozen=True, eq=False)
class CameraRow:
    """The outputs of one camera at one instant; None where there is none. Sizes may differ.

    image:      uint8 [h, w, 3] RGB
    depth:      float [h, w], NaN invalid
    confidence: float [h, w], 0..1
    label:      uint8 [h, w], `Label`
    flow:       float [h, w, 2], pixels, NaN unknown
    """

    name: str
    image: np.ndarray | None = None
    depth: np.ndarray | None = None
    confidence: np.ndarray | None = None
    label: np.ndarray | None = None
    flow: np.ndarray | None = None

    @property
    def aspect(self) -> float:
        """Height by width of the tallest array; 0.75 where there is none."""
        arrays = (self.image, self.depth, self.confidence, self.label, self.flow)
        return max((a.shape[0] / a.shape[1] for a in arrays if a is not None), default=0.75)


@dataclass(frozen=True)
class _Page:
    """A figure measured in inches from its top left corner."""

    figure: Figure
    width: float
    height: float

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes in a rectangle."""
        bottom = 1.0 - (top + height) / self.height
        rectangle = (left / self.width, bottom, width / self.width, height / self.height)
        return self.figure.add_axes(rectangle)

    def text(self, left: float, top: float, words: str, **style: Any) -> None:
        """Text whose top left corner is at the place, unless the style says otherwise."""
        style = {'ha': 'left', 'va': 'top', 'color': INK, **style}
        self.figure.text(left / self.width, 1.0 - top / self.height, words, **style)


def contact_sheet(
    rows: Sequence[CameraRow],
    cloud: CloudView | None,
    trajectory: Trajectory | None,
    title: str,
    notice: str = '',
    *,
    unit: str = 'm',
    z_up: bool = True,
) -> np.ndarray:
    """Draw the sheet; uint8 [H, W, 3] RGB.

    notice: what the reader must know, such as that the weights are untrained; a red band
    unit:   of depth, cloud and trajectory: `m`, or other words where the scale is none
    z_up:   axes of the frames of cloud and trajectory, see `plan_axes`
    Depths share one range and flows one wheel over all cameras. Raises ValueError without rows.
    """
    if not rows:
        raise ValueError('a contact sheet of 0 cameras shows nothing; give at least one row')
    flattest = min(row.aspect for row in rows)
    column_width = float(np.clip(MAX_ROW_HEIGHT / flattest, MIN_COLUMN_WIDTH, COLUMN_WIDTH))
    heights = [min(column_width * row.aspect, MAX_ROW_HEIGHT) for row in rows]
    width = 2 * MARGIN + NAME_WIDTH + len(COLUMNS) * (column_width + GAP) - GAP
    top_height = MARGIN + 0.6 + (0.6 if notice else 0.0)
    grid_height = HEADING_HEIGHT + sum(heights) + GAP * len(rows)
    height = top_height + grid_height + 0.75 + PLAN_HEIGHT + 0.7 + MARGIN
    page = _Page(Figure((width, height), dpi=DPI, facecolor='white'), width, height)
    page.text(MARGIN, MARGIN, title, size=19, weight='bold')
    if notice:
        _draw_notice(page, notice)
    _draw_grid(page, rows, heights, column_width, top_height, unit)
    _draw_plans(page, cloud, trajectory, top_height + grid_height + 0.75, unit, z_up)
    canvas = FigureCanvasAgg(page.figure)
    canvas.draw()
    pixels = canvas.buffer_rgba()
    return np.asarray(pixels)[..., :3].copy()


def _draw_notice(page: _Page, notice: str) -> None:
    band = page.axes(MARGIN, MARGIN + 0.55, page.width - 2 * MARGIN, 0.45)
    band.set(xticks=[], yticks=[], facecolor='#b3261e')
    band.spines[:].set_visible(False)
    band.text(0.5, 0.47, notice, color='white', size=13, weight='bold', ha='center', va='center')


def _draw_grid(
    page: _Page,
    rows: Sequence[CameraRow],
    heights: Sequence[float],
    column_width: float,
    top: float,
    unit: str,
) -> None:
    depths = depth_range(*(row.depth for row in rows if row.depth is not None))
    max_px = flow_range(*(row.flow for row in rows if row.flow is not None))
    lefts = [MARGIN + NAME_WIDTH + i * (column_width + GAP) for i in range(len(COLUMNS))]
    for column, left in zip(COLUMNS, lefts, strict=True):
        page.text(left, top, column, size=13, weight='bold')
        _draw_legend(page, column, left, top + 0.3, column_width, depths, max_px, unit)
    top += HEADING_HEIGHT
    for row, height in zip(rows, heights, strict=True):
        middle = top + 0.5 * height
        style = {'rotation': 90, 'ha': 'center', 'va': 'center'}
        page.text(MARGIN + 0.12, middle, row.name, size=12, weight='bold', **style)
        if row.image is not None:
            size = f'{row.image.shape[1]}x{row.image.shape[0]}'
            page.text(MARGIN + 0.34, middle, size, size=9, **{**style, 'color': FAINT})
        for left, picture in zip(lefts, _pictures(row, depths, max_px), strict=True):
            axes = page.axes(left, top, column_width, height)
            if picture is None:
                no_data(axes, 'no data')
            else:
                axes.imshow(picture)
                axes.set_axis_off()
        top += height + GAP


def _pictures(
    row: CameraRow, depths: tuple[float, float], max_px: float
) -> tuple[np.ndarray | None, ...]:
    """Paint the cells of one row, in the order of `COLUMNS`."""
    overlay = None
    if row.label is not None:
        size = row.label.shape[::-1]
        under = np.full((*row.label.shape, 3), 255, np.uint8)
        if row.image is not None:
            under = cv2.resize(row.image, size, interpolation=cv2.INTER_AREA)
        overlay = label_overlay(under, row.label)
    return (
        row.image,
        None if row.depth is None else depth_to_rgb(row.depth, *depths),
        None if row.confidence is None else confidence_to_rgb(row.confidence),
        overlay,
        None if row.flow is None else flow_to_rgb(row.flow, max_px),
    )


def _draw_legend(
    page: _Page,
    column: str,
    left: float,
    top: float,
    width: float,
    depths: tuple[float, float],
    max_px: float,
    unit: str,
) -> None:
    """Draw the key to the colours of one column, in a strip of 0.35 inches."""
    near, far = depths
    small = {'size': 9, 'color': FAINT, 'va': 'center'}
    ramp = np.linspace(0.0, 1.0, 256, dtype=np.float32)[None]
    if column == 'depth':
        bar = depth_to_rgb(1.0 / ((1.0 - ramp) / near + ramp / far), near, far)
        _draw_bar(page, bar, left, top, width, f'{near:.3g} {unit}', f'{far:.3g} {unit}')
    elif column == 'confidence':
        _draw_bar(page, confidence_to_rgb(ramp + 1e-6), left, top, width, '0', '1')
    elif column == 'labels':
        labels = np.repeat(np.array([[Label.STATIC, Label.DYNAMIC, Label.UNKNOWN]]), 16, axis=0)
        swatches = label_overlay(np.full((16, 48, 3), 200, np.uint8), labels.repeat(16, axis=1))
        for i, name in enumerate(('static', 'dynamic', 'unknown')):
            place = left + i * width / 3.0
            axes = page.axes(place, top + 0.02, 0.16, 0.16)
            axes.imshow(swatches[:, 16 * i : 16 * i + 16])
            axes.set(xticks=[], yticks=[])
            page.text(place + 0.21, top + 0.1, name, **small)
    elif column == 'flow':
        y, x = np.mgrid[-1:1:81j, -1:1:81j]
        wheel = flow_to_rgb(np.stack([x, y], axis=-1), 1.0)
        wheel[np.hypot(x, y) > 1.0] = 255
        axes = page.axes(left + width - 0.66, top - 0.33, 0.66, 0.66)
        axes.imshow(wheel)
        axes.set_axis_off()
        page.text(left, top + 0.12, f'rim: {max_px:.1f} px\nblack: unknown', **small)


def _draw_bar(
    page: _Page, bar: np.ndarray, left: float, top: float, width: float, low: str, high: str
) -> None:
    axes = page.axes(left, top, width, 0.13)
    axes.imshow(bar, aspect='auto')
    axes.set_axis_off()
    page.text(left, top + 0.18, low, size=9, color=FAINT)
    page.text(left + width, top + 0.18, high, size=9, color=FAINT, ha='right')


def _draw_plans(
    page: _Page,
    cloud: CloudView | None,
    trajectory: Trajectory | None,
    top: float,
    unit: str,
    z_up: bool,
) -> None:
    label_room, between = 0.6, 0.9
    free = page.width - 2 * MARGIN - label_room - between
    wide = 0.6 * free
    left = page.axes(MARGIN + label_room, top, wide, PLAN_HEIGHT)
    right = page.axes(MARGIN + label_room + wide + between, top, free - wide, PLAN_HEIGHT)
    if cloud is None:
        no_data(left, 'no cloud')
    else:
        draw_cloud(left, cloud, z_up, unit)
    if trajectory is None:
        no_data(right, 'no trajectory')
    else:
        draw_trajectory(right, trajectory, z_up, unit)

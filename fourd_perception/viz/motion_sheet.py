"""One picture of how masks came about: cues, clusters, coarse and refined masks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from fourd_perception.engine.scene_update import Label
from fourd_perception.motion.clip import ClipMotion
from fourd_perception.motion.cues import CueMaps
from fourd_perception.viz.colour import label_overlay
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
import torch

ROWS = 5  # most frames shown
CELL = 2.2  # inches
MARGIN, HEADING, NOTICE = 0.35, 0.75, 0.4
CUES = [field.name for field in fields(CueMaps)]
COLUMNS = ('image', *CUES, 'combined', 'clusters', 'saliency', 'coarse mask', 'refined mask')


def motion_sheet(images: torch.Tensor, motion: ClipMotion, title: str, notice: str) -> np.ndarray:
    """Draw up to five frames of a clip [S, 3, H, W] in 0..1, a row each; uint8 [h, w, 3] RGB.

    notice: what the reader must know, such as that the weights are untrained; a red band
    """
    shown = np.unique(np.linspace(0, len(images) - 1, min(ROWS, len(images))).round().astype(int))
    cell_height = CELL * images.shape[2] / images.shape[3]
    top = HEADING + (NOTICE if notice else 0.0)
    width = len(COLUMNS) * CELL + 2 * MARGIN
    height = top + len(shown) * (cell_height + 0.08) + MARGIN
    figure = Figure((width, height), dpi=80, facecolor='white')
    figure.text(MARGIN / width, 1 - 0.12 / height, title, size=15, weight='bold', va='top')
    if notice:
        figure.text(
            MARGIN / width,
            1 - 0.48 / height,
            f' {notice} ',
            size=13,
            weight='bold',
            va='top',
            color='white',
            backgroundcolor='firebrick',
        )
    for row, frame in enumerate(shown.tolist()):
        panels = _panels(images, motion, frame)
        for column, (name, (pixels, style)) in enumerate(zip(COLUMNS, panels)):
            bottom = 1 - (top + (row + 1) * (cell_height + 0.08)) / height
            left = (MARGIN + column * CELL) / width
            axes = figure.add_axes(
                (left, bottom, (CELL - 0.08) / width, cell_height / height), xticks=[], yticks=[]
            )
            axes.imshow(pixels, aspect='auto', interpolation='nearest', **style)
            if row == 0:
                axes.set_title(name, size=11)
            if column == 0:
                axes.set_ylabel(f'frame {frame}', size=10)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _panels(
    images: torch.Tensor, motion: ClipMotion, frame: int
) -> list[tuple[np.ndarray, dict[str, Any]]]:
    """Pixels of every column, and how `imshow` colours them."""
    rgb = (255 * images[frame]).round().byte().permute(1, 2, 0).cpu().numpy()
    share: dict[str, Any] = {'cmap': 'inferno', 'vmin': 0.0, 'vmax': 1.0}
    cues = motion.cues.normalised()
    maps = [getattr(cues, name)[frame] for name in CUES]
    masks = [
        label_overlay(
            rgb, np.where(mask[frame].cpu(), Label.DYNAMIC, Label.STATIC).astype('uint8')
        )
        for mask in (motion.coarse.mask, motion.mask)
    ]
    return [
        (rgb, {}),
        *((m.cpu().numpy(), share) for m in (*maps, motion.dynamic[frame])),
        (motion.coarse.labels[frame].cpu().numpy() % 20, {'cmap': 'tab20', 'vmin': 0, 'vmax': 19}),
        (motion.coarse.saliency[frame].cpu().numpy(), share),
        *((mask, {}) for mask in masks),
    ]

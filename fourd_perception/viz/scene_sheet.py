"""A contact sheet of generated clips: image, depth, flow and what moves, of one slice of each."""

from __future__ import annotations

from fourd_perception.engine.scene_update import Label
from fourd_perception.geometry.clips import Clips, DYNAMIC, STATIC
from fourd_perception.viz.colour import depth_range, depth_to_rgb, flow_to_rgb, label_overlay
import numpy as np

_GAP = 4
_WHITE = 255


def scene_sheet(clips: Clips, columns: int) -> np.ndarray:
    """RGB uint8: a cell of 2 x 2 pictures per clip, its first view, its middle instant.

    Upper left the image, beside it depth (near is bright); below flow to the next instant, and
    the image with what moves (red) and what nobody knows.
    """
    cells = [_cell(clips, k) for k in range(len(clips))]
    blank = np.full_like(cells[0], _WHITE)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.concatenate(cells[k : k + columns], axis=1) for k in range(0, len(cells), columns)]
    return np.concatenate(rows, axis=0)


def _cell(clips: Clips, clip: int) -> np.ndarray:
    """The four pictures of one clip with a white border to the right and below."""
    at = clip, 0, clips.images.shape[2] // 2
    image = clips.images[at].permute(1, 2, 0).cpu().numpy()
    depth = clips.depth[at].cpu().numpy()
    near, far = depth_range(depth)
    flow = clips.flow_forward[at].permute(1, 2, 0).cpu().numpy()
    dynamic = clips.dynamic[at].cpu().numpy()
    label = np.full(dynamic.shape, Label.UNKNOWN, np.uint8)
    label[dynamic == STATIC], label[dynamic == DYNAMIC] = Label.STATIC, Label.DYNAMIC
    upper = np.concatenate([image, depth_to_rgb(depth, near, far)], axis=1)
    lower = np.concatenate([flow_to_rgb(flow), label_overlay(image, label)], axis=1)
    cell = np.concatenate([upper, lower], axis=0)
    return np.pad(cell, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=_WHITE)

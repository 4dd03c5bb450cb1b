"""The truth of clips at the present cells of one layout."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
import torch


@dataclass(frozen=True, eq=False)
class Cells:
    """The truth at the S cells of a layout; fields as in `Clips`, [n, S, ...]."""

    images: torch.Tensor
    intrinsics: torch.Tensor
    world_from_camera: torch.Tensor
    depth: torch.Tensor
    flow_forward: torch.Tensor
    flow_backward: torch.Tensor
    occluded_forward: torch.Tensor
    occluded_backward: torch.Tensor
    dynamic: torch.Tensor


def cells_of(clips: Clips, layout: CellLayout) -> Cells:
    """The present cells of clips that all have this layout."""
    view, time = list(layout.view_id), list(layout.time_id)
    return Cells(**{f.name: getattr(clips, f.name)[:, view, time] for f in fields(Cells)})

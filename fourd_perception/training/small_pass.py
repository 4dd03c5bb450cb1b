"""One pass of `fourd-small` over clips of one layout, as far as its losses need it."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.heads.flow import FlowEstimate
from fourd_perception.model.small.camera import Cameras, compose, used_intrinsics
from fourd_perception.model.small.decoder import DecodedCells
from fourd_perception.model.small.grid_plan import GridPlan
from fourd_perception.model.small.network import FourdSmall, Identifiers
from fourd_perception.training.focus import Focus
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
    return Cells(**{n: getattr(clips, n)[:, view, time] for n in Cells.__dataclass_fields__})


@dataclass(frozen=True, eq=False)
class SmallPass:
    """What the network answers for n clips of S cells, F of them in focus.

    told:       what it was told
    poses:      [n, S, 4, 4], world_from_camera in a world and scale of its own
    intrinsics: [n, S, 3, 3], those told, its own where none were
    decoded:    of the F cells
    flows:      forward and backward, of the n P pairs of the focus, clip by clip; None: not estimated
    """

    plan: GridPlan
    focus: Focus
    told: Identifiers
    cameras: Cameras
    poses: torch.Tensor
    intrinsics: torch.Tensor
    decoded: DecodedCells
    flows: tuple[FlowEstimate, FlowEstimate] | None


def small_pass(
    network: FourdSmall,
    images: torch.Tensor,
    layout: CellLayout,
    band: int | None,
    told: Identifiers,
    focus: Focus,
    with_flow: bool = True,
) -> SmallPass:
    """Read images uint8 [n, S, 3, H, W] of the cells of a layout; see `grid_plan` for the band.

    with_flow: estimate the flow of the pairs in focus, where the network can
    """
    height, width = images.shape[-2:]
    tables, plan = network.tables(height, width), network.plan(layout, band)
    images = images.float() / 255
    frames = network.encode(images, tables)
    features = network.trunk(frames.tokens, plan, tables, told)
    cameras = network.cameras(features, plan, told)
    cells = list(focus.cells)
    decoded = network.decoder(
        features.patches[:, cells], frames.eighth[:, cells], frames.quarter[:, cells]
    )
    flows = None
    if with_flow and focus.pairs and network.flow_module is not None:
        older, newer = ([cells[pair[i]] for pair in focus.pairs] for i in (0, 1))
        flows = network.flow_module(images[:, older].flatten(0, 1), images[:, newer].flatten(0, 1))
    with torch.autocast(images.device.type, enabled=False):
        poses = compose(cameras, plan)
        own = used_intrinsics(told.intrinsics, cameras.field_of_view, height, width)
    return SmallPass(plan, focus, told, cameras, poses, own, decoded, flows)

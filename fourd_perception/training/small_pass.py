"""One pass of `fourd-small` over clips of one layout, as far as its losses need it."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.small.camera import Cameras, compose, used_intrinsics
from fourd_perception.model.small.decoder import DecodedCells
from fourd_perception.model.small.grid_plan import GridPlan
from fourd_perception.model.small.network import FourdSmall, Identifiers
from fourd_perception.training.focus import Focus
from fourd_perception.training.focus_flow import Flows, focus_flows
import torch


@dataclass(frozen=True, eq=False)
class SmallPass:
    """What the network answers for n clips of S cells, F of them in focus.

    told:       what it was told
    poses:      [n, S, 4, 4], world_from_camera in a world and scale of its own
    intrinsics: [n, S, 3, 3], those told, its own where none were
    decoded:    of the F cells
    flows:      see `focus_flows`
    """

    plan: GridPlan
    focus: Focus
    told: Identifiers
    cameras: Cameras
    poses: torch.Tensor
    intrinsics: torch.Tensor
    decoded: DecodedCells
    flows: Flows | None


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
    flows = focus_flows(network.flow_module, images, focus) if with_flow else None
    with torch.autocast(images.device.type, enabled=False):
        poses = compose(cameras, plan)
        own = used_intrinsics(told.intrinsics, cameras.field_of_view, height, width)
    return SmallPass(plan, focus, told, cameras, poses, own, decoded, flows)

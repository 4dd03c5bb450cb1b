"""Masks of a window by the residual-motion head, under any trunk (spec B.16)."""

from __future__ import annotations

from fourd_perception.geometry.poses import invert
from fourd_perception.model.grid_cells import GridCells
from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.heads.residual_motion import OtherFrame, ResidualMotionHead
from fourd_perception.model.known_cells import Pair
import numpy as np
import torch


def motion_mask(
    head: ResidualMotionHead,
    cells: GridCells,
    features: torch.Tensor,
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    poses: np.ndarray,
    flows: list[Pair],
) -> torch.Tensor:
    """Mask logits [V, T, H, W] of the wanted cells; NaN elsewhere, and of a single instant.

    features:   [n, C, h, w] of `cells.dense`
    depth:      [m, H, W] of `cells.around`
    intrinsics: [S, 3, 3] of all cells, and poses [S, 4, 4], world_from_camera
    flows:      of `cells.pairs`
    """
    if len(cells.layout.instants) < 2:  # what moves shows between two instants
        return cells.maps(depth[:0], slice(0, 0))
    others = [
        _other_frame(cells, depth, intrinsics, poses, flows, later) for later in (True, False)
    ]
    wanted = cells.dense.start - cells.around.start
    logits = head(features, depth[wanted:], intrinsics[cells.dense], others)
    return cells.maps(logits, cells.dense)


def _other_frame(
    cells: GridCells,
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    poses: np.ndarray,
    flows: list[Pair],
    later: bool,
) -> OtherFrame | None:
    """What the mask head is told of the frame after (or before) each of the wanted cells.

    depth: [n, H, W] of `cells.around`; intrinsics [S, 3, 3] and poses [S, 4, 4] of all cells.
    None where no wanted cell has such a frame, or nothing is known of the flow to it.
    """
    first, (height, width) = cells.dense.start, depth.shape[1:]
    other = np.arange(first, len(cells.keys))
    flow = depth.new_full((len(other), 2, height, width), torch.nan)
    log_scale = depth.new_zeros(len(other), 1, height, width)
    hidden = torch.zeros_like(log_scale, dtype=torch.bool)
    for pair, ways in zip(cells.pairs, flows):
        (cell, neighbour), (out, home) = (pair, ways) if later else (pair[::-1], ways[::-1])
        if cell < first:
            continue
        i = cell - first
        other[i] = neighbour
        flow[i], log_scale[i] = out[0, :2], out[0, 2:]
        hidden[i] = occluded(out[:, :2], home[:, :2])[0]
    if (other == np.arange(first, len(cells.keys))).all():
        return None
    motion = invert(poses[other]) @ poses[first:]
    index = torch.from_numpy(other).to(depth.device)
    return OtherFrame(
        flow,
        log_scale,
        hidden,
        depth[index - cells.around.start],
        intrinsics[index],
        torch.from_numpy(motion).to(depth.device, torch.float32),
    )

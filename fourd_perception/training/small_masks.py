"""The mask head of `fourd-small` in training: evidence for the cells in focus (spec B.16)."""

from __future__ import annotations

from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.heads.residual_motion import OtherFrame, ResidualMotionHead
from fourd_perception.training.pose_loss import relative_poses
from fourd_perception.training.small_pass import SmallPass
import torch


def paired_cells(answer: SmallPass) -> list[int]:
    """Cells in focus, as positions in it, that have a neighbour in time there."""
    return sorted({i for pair in answer.focus.pairs for i in pair})


def mask_logits(head: ResidualMotionHead, answer: SmallPass, poses: torch.Tensor) -> torch.Tensor:
    """Logits [n, m, H, W] of the `paired_cells`; no gradient reaches depth, poses or flow.

    poses: [n, S, 4, 4], world_from_camera in the scale of the network's depth
    """
    cells = paired_cells(answer)
    depth = answer.decoded.log_depth.detach().exp()
    others = [_other_frame(answer, cells, depth, poses.detach(), later) for later in (True, False)]
    intrinsics = _of_focus(answer, answer.intrinsics.detach(), cells)
    logits = head(
        answer.decoded.features[:, cells].flatten(0, 1),
        depth[:, cells].flatten(0, 1),
        intrinsics.flatten(0, 1),
        others,
    )
    return logits.unflatten(0, (len(depth), len(cells)))


def _of_focus(answer: SmallPass, values: torch.Tensor, cells: list[int]) -> torch.Tensor:
    """Values [n, S, ...] of cells given by their positions in the focus."""
    return values[:, [answer.focus.cells[i] for i in cells]]


def _other_frame(
    answer: SmallPass,
    cells: list[int],
    depth: torch.Tensor,
    poses: torch.Tensor,
    later: bool,
) -> OtherFrame:
    """What is known of the frame after (or before) each of the cells; NaN flow where none is."""
    assert answer.flows is not None
    pairs = answer.focus.pairs
    out, home = answer.flows if later else answer.flows[::-1]
    clips, (height, width) = len(depth), depth.shape[2:]
    # Cells without such a neighbour stand for their own, with unknown flow.
    other = {cell: cell for cell in cells}
    flow = depth.new_full((clips, len(cells), 2, height, width), torch.nan)
    log_scale = depth.new_zeros(clips, len(cells), 1, height, width)
    hidden = torch.zeros_like(log_scale, dtype=torch.bool)
    leads_away = occluded(out.flow.detach(), home.flow.detach()).unflatten(0, (clips, -1))
    estimate = [x.detach().unflatten(0, (clips, -1)) for x in (out.flow, out.log_scale)]
    for number, pair in enumerate(pairs):
        cell, neighbour = pair if later else pair[::-1]
        i, other[cell] = cells.index(cell), neighbour
        flow[:, i], log_scale[:, i] = (x[:, number] for x in estimate)
        hidden[:, i] = leads_away[:, number]
    neighbours = [other[cell] for cell in cells]
    motion = relative_poses(_of_focus(answer, poses, neighbours), _of_focus(answer, poses, cells))
    parts = (
        flow, log_scale, hidden, depth[:, neighbours],
        _of_focus(answer, answer.intrinsics.detach(), neighbours), motion,
    )  # fmt: skip
    return OtherFrame(*(part.flatten(0, 1) for part in parts))

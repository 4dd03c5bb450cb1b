"""What the residual-motion head is shown in training (spec B.16)."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.heads.residual_motion import OtherFrame, ResidualMotionHead
from fourd_perception.training.focus import Focus
from fourd_perception.training.focus_flow import Flows
from fourd_perception.training.pose_loss import relative_poses
import torch


@dataclass(frozen=True, eq=False)
class MotionEvidence:
    """Of the F cells in focus of n clips; gradients reach the features alone.

    features:   [n, F, C, h, w]
    log_depth:  [n, F, H, W]
    intrinsics: [n, F, 3, 3]
    poses:      [n, F, 4, 4], world_from_camera in the scale of the depth
    flows:      of the pairs in focus
    """

    focus: Focus
    features: torch.Tensor
    log_depth: torch.Tensor
    intrinsics: torch.Tensor
    poses: torch.Tensor
    flows: Flows


def mask_logits(head: ResidualMotionHead, evidence: MotionEvidence) -> torch.Tensor:
    """Logits [n, m, H, W] of `Focus.paired`, the cells that have a neighbour in focus."""
    cells = evidence.focus.paired
    with torch.no_grad(), torch.autocast(evidence.features.device.type, enabled=False):
        depth = evidence.log_depth.exp()
        others = [_other_frame(evidence, cells, depth, later) for later in (True, False)]
    logits = head(
        evidence.features[:, cells].flatten(0, 1),
        depth[:, cells].flatten(0, 1),
        evidence.intrinsics[:, cells].flatten(0, 1),
        others,
    )
    return logits.unflatten(0, (len(depth), len(cells)))


def poses_shown(
    own: torch.Tensor, true: torch.Tensor, log_length: torch.Tensor, show_true: torch.Tensor
) -> torch.Tensor:
    """A network's own poses [n, F, 4, 4], or true ones, in its scale, where asked and known.

    log_length: [n], logarithm of the true length of the network's unit
    show_true:  bool [n]
    """
    true = true.clone()
    true[..., :3, 3] = true[..., :3, 3] / log_length.exp()[:, None, None]
    known = true.isfinite().flatten(1).all(1)
    return torch.where((show_true & known)[:, None, None, None], true, own)


def _other_frame(
    evidence: MotionEvidence, cells: list[int], depth: torch.Tensor, later: bool
) -> OtherFrame:
    """What is known of the frame after (or before) each of the cells; NaN flow where none is."""
    out, home = evidence.flows if later else evidence.flows[::-1]
    clips, (height, width) = len(depth), depth.shape[2:]
    # Cells without such a neighbour stand for their own, with unknown flow.
    other = {cell: cell for cell in cells}
    flow = depth.new_full((clips, len(cells), 2, height, width), torch.nan)
    log_scale = depth.new_zeros(clips, len(cells), 1, height, width)
    hidden = torch.zeros_like(log_scale, dtype=torch.bool)
    leads_away = occluded(out.flow, home.flow).unflatten(0, (clips, -1))
    estimate = [x.unflatten(0, (clips, -1)) for x in (out.flow, out.log_scale)]
    for number, pair in enumerate(evidence.focus.pairs):
        cell, neighbour = pair if later else pair[::-1]
        i, other[cell] = cells.index(cell), neighbour
        flow[:, i], log_scale[:, i] = (x[:, number] for x in estimate)
        hidden[:, i] = leads_away[:, number]
    neighbours = [other[cell] for cell in cells]
    poses, intrinsics = evidence.poses, evidence.intrinsics[:, neighbours]
    motion = relative_poses(poses[:, neighbours], poses[:, cells])
    parts = (flow, log_scale, hidden, depth[:, neighbours], intrinsics, motion)
    return OtherFrame(*(part.flatten(0, 1) for part in parts))

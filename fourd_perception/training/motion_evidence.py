"""What the residual-motion head is shown in training (spec B.16)."""

from __future__ import annotations

from fourd_perception.model.cell_pairs import CellPairs, PairMotions, posed_motions
from fourd_perception.training.focus import Focus
from fourd_perception.training.focus_flow import Flows
import torch


def focus_pairs(flows: Flows, focus: Focus, clips: int) -> CellPairs:
    """The pairs in focus among the n F cells of all clips, clip by clip."""
    size = len(focus.cells)
    pairs = [
        (clip * size + older, clip * size + newer)
        for clip in range(clips)
        for older, newer in focus.pairs
    ]
    there, back = ((flow.flow, flow.log_scale) for flow in flows)
    return CellPairs.of(pairs, there, back)


def paired_cells(focus: Focus, clips: int) -> list[int]:
    """`Focus.paired` of all clips, among their n F cells."""
    size = len(focus.cells)
    return [clip * size + cell for clip in range(clips) for cell in focus.paired]


def motions_shown(
    own: PairMotions,
    pairs: CellPairs,
    true_poses: torch.Tensor,
    log_length: torch.Tensor,
    show_true: torch.Tensor,
) -> PairMotions:
    """A network's own motions, or true ones, in its scale, where asked and known.

    true_poses: [n, F, 4, 4], world_from_camera
    log_length: [n], logarithm of the true length of the network's unit
    show_true:  bool [n]
    """
    poses = true_poses.clone()
    poses[..., :3, 3] = poses[..., :3, 3] / log_length.exp()[:, None, None]
    true = posed_motions(pairs, poses.flatten(0, 1)).older_from_newer
    asked = show_true.repeat_interleave(len(pairs) // len(show_true))
    shown = asked & true.isfinite().flatten(1).all(1)
    # A true motion has no error.
    return PairMotions(
        torch.where(shown[:, None, None], true, own.older_from_newer),
        torch.where(shown[:, None, None], 0.0, own.covariance),
    )

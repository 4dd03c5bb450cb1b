"""Every term of the loss of `fourd-small` (training.md 3.6, 3.7)."""

from __future__ import annotations

from collections.abc import Mapping

from fourd_perception.geometry.clips import STATIC, VISIBLE
from fourd_perception.model.cell_pairs import posed_motions, solved_motions
from fourd_perception.model.small.moving import CellDepths, moving
from fourd_perception.model.small.network import FourdSmall
from fourd_perception.training.cells import Cells
from fourd_perception.training.consistency_loss import consistency_loss
from fourd_perception.training.depth_loss import gradient_loss, laplace_loss, sigma_of
from fourd_perception.training.focus_flow import flow_terms
from fourd_perception.training.mask_loss import mask_loss
from fourd_perception.training.motion_evidence import (
    focus_pairs,
    motions_shown,
    paired_cells,
)
from fourd_perception.training.pose_loss import field_of_view_loss, pose_loss, relative_poses
from fourd_perception.training.scale import log_factor, log_unit
from fourd_perception.training.small_pass import SmallPass
import torch


def small_terms(
    network: FourdSmall, answer: SmallPass, truth: Cells, true_pose: torch.Tensor
) -> Mapping[str, torch.Tensor]:
    """Terms without their weights, each [n]; 0 where a clip says nothing of them.

    true_pose: bool [n], whose mask head sees the camera's true motion instead of the network's
    """
    with torch.autocast(truth.depth.device.type, enabled=False):
        unit = log_unit(truth.depth)
        terms, factor = _geometry(answer, truth, unit)
        terms |= flow_terms(answer.flows, truth, answer.focus)
    nothing = unit.new_zeros(len(unit))
    if answer.flows is None:
        return terms | {'mask': nothing}
    logits = _mask_logits(network, answer, truth, unit + factor, true_pose)
    dynamic = truth.dynamic[:, list(answer.focus.cells)][:, answer.focus.paired]
    return terms | {'mask': mask_loss(logits.view(dynamic.shape), dynamic)}


def _mask_logits(
    network: FourdSmall,
    answer: SmallPass,
    truth: Cells,
    log_length: torch.Tensor,
    true_pose: torch.Tensor,
) -> torch.Tensor:
    """Of the paired cells of all clips, as the predictor finds them; only they have gradients."""
    assert answer.flows is not None
    focus, clips, decoded = answer.focus, len(answer.poses), answer.decoded
    chosen = list(focus.cells)
    said = CellDepths(
        decoded.log_depth.float().flatten(0, 1),
        decoded.log_sigma.float().flatten(0, 1),
        decoded.features.flatten(0, 1),
        answer.intrinsics[:, chosen].flatten(0, 1),
    )
    with torch.autocast(said.log_depth.device.type, enabled=False):
        pairs = focus_pairs(answer.flows, focus, clips)
        start = posed_motions(pairs, answer.poses[:, chosen].flatten(0, 1).detach())
        motions = motions_shown(
            solved_motions(pairs, said.log_depth.exp(), said.intrinsics, start),
            pairs,
            truth.world_from_camera[:, chosen],
            log_length,
            true_pose,
        )
    return moving(network, said, pairs, motions, paired_cells(focus, clips))[0]


def _geometry(
    answer: SmallPass, truth: Cells, unit: torch.Tensor
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Terms of depth and poses, and the logarithm [n] of the scale between the two."""
    decoded, told = answer.decoded, answer.told
    height, width = decoded.log_depth.shape[2:]
    log_truth = truth.depth[:, list(answer.focus.cells)].log() - unit[:, None, None, None]
    valid = log_truth.isfinite()
    weight = valid / sigma_of(decoded.log_sigma)
    factor = log_factor(decoded.log_depth, log_truth, weight)
    aligned = decoded.log_depth + factor.detach()[:, None, None, None]
    # Fields of view are asked for where they are not told.
    unknown = torch.where(told.intrinsics.isfinite(), torch.nan, truth.intrinsics)
    terms = {
        'depth': laplace_loss(aligned, decoded.log_sigma, log_truth, valid),
        'gradient': gradient_loss(aligned, log_truth, valid),
        'scale': factor.abs(),
        'pose': pose_loss(
            answer.cameras,
            answer.plan,
            truth.world_from_camera,
            unit.exp(),
            factor.detach().exp(),
        ),
        'field_of_view': field_of_view_loss(answer.cameras.field_of_view, unknown, height, width),
        'consistency': _consistency(answer, truth),
    }
    return terms, factor.detach()


def _consistency(answer: SmallPass, truth: Cells) -> torch.Tensor:
    """The pairs in focus, both ways."""
    focus, log_depth = answer.focus, answer.decoded.log_depth
    if not focus.pairs:
        return log_depth.new_zeros(len(log_depth))
    older, newer = (list(side) for side in zip(*focus.pairs))
    here, there = older + newer, newer + older
    cells, others = ([focus.cells[i] for i in side] for side in (here, there))
    seen = torch.cat(
        [
            truth.occluded_forward[:, cells[: len(older)]] == VISIBLE,
            truth.occluded_backward[:, cells[len(older) :]] == VISIBLE,
        ],
        dim=1,
    )
    return consistency_loss(
        log_depth[:, here],
        log_depth[:, there],
        answer.intrinsics[:, cells],
        answer.intrinsics[:, others],
        relative_poses(answer.poses[:, others], answer.poses[:, cells]),
        seen & (truth.dynamic[:, cells] == STATIC) & ~_sky(truth.depth)[:, cells],
    )


def _sky(depth: torch.Tensor) -> torch.Tensor:
    """Where depth [n, S, H, W] is not known of a cell of which some is."""
    known = depth.isfinite()
    return ~known & known.any(dim=(2, 3), keepdim=True)

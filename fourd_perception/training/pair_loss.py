"""The loss of the flow between pairs of a clip, where it is known."""

from __future__ import annotations

from fourd_perception.geometry.clips import VISIBLE
from fourd_perception.model.heads.flow import FlowEstimate
from fourd_perception.training.depth_loss import masked_mean
from fourd_perception.training.flow_loss import (
    endpoint_errors,
    HIDDEN_WEIGHT,
    LEAST_LOG_SCALE,
    MOST_LOG_SCALE,
    SEQUENCE_WEIGHT,
)
import torch


def pair_loss(
    estimate: FlowEstimate, truth: torch.Tensor, occluded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequence loss of the flow and the loss of its log-scale, each [n], as in `flow_loss`.

    estimate: of the n P pairs, clip by clip
    truth:    [n, P, 2, H, W], NaN where unknown
    occluded: uint8 [n, P, H, W]
    0 for clips of which no flow is known.
    """
    shape = truth.shape[:2]
    known = truth.isfinite().all(2)
    truth = torch.where(known[:, :, None], truth, 0).flatten(0, 1)
    weight = torch.where(occluded == VISIBLE, 1.0, HIDDEN_WEIGHT) * known
    weight = weight / weight.flatten(1).sum(1).clamp(min=1e-6)[:, None, None, None]
    loss = truth.new_zeros(shape[0])
    for age, flow in enumerate(reversed((*estimate.coarse, estimate.flow))):
        error = endpoint_errors(flow, truth)[:, 0].unflatten(0, shape)
        loss = loss + SEQUENCE_WEIGHT**age * (weight * (error + 0.01).sqrt()).flatten(1).sum(1)
    error = endpoint_errors(estimate.flow.detach(), truth)[:, 0].unflatten(0, shape)
    log_scale = estimate.log_scale[:, 0].unflatten(0, shape)
    log_scale = log_scale.clamp(LEAST_LOG_SCALE, MOST_LOG_SCALE)
    return loss, masked_mean(log_scale + error * (-log_scale).exp(), known)

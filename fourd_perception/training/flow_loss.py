"""What the flow between pairs of images is punished for, where it is known."""

from __future__ import annotations

from fourd_perception.geometry.clips import VISIBLE
from fourd_perception.model.heads.flow import FlowEstimate
from fourd_perception.training.depth_loss import masked_mean
import torch

SEQUENCE_WEIGHT = 0.85
# Of a hidden pixel beside a visible one: only its surroundings tell of its motion.
HIDDEN_WEIGHT = 0.5
LEAST_LOG_SCALE, MOST_LOG_SCALE = -5.0, 5.0


def flow_loss(
    estimate: FlowEstimate, truth: torch.Tensor, occluded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequence loss of the flow, and the loss of its log-scale, each [n]: means over P pairs.

    estimate: of the n P pairs, those of a sample together
    truth:    float32 [n, P, 2, H, W], pixels, NaN where unknown
    occluded: uint8 [n, P, H, W], see `Clips`
    The flow's is (|e| + .01)^.5 of every update, the last with weight 1, each one before with .85
    of the next. The log-scale s is that of a Laplace density of the last error, s + |e| / exp(s),
    and leaves the flow alone. 0 for samples of which no flow is known.
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


def endpoint_errors(flow: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Lengths of the errors [B, 1, H, W] of flows [B, 2, H, W]."""
    # A length has no gradient at zero; a millionth of a pixel gives it one.
    return ((flow - truth).square().sum(1, keepdim=True) + 1e-12).sqrt()

"""What the flow module is punished for."""

from __future__ import annotations

from fourd_perception.model.heads.flow import FlowEstimate
import torch

SEQUENCE_WEIGHT = 0.85
# Of a hidden pixel beside a visible one: only its surroundings tell of its motion.
HIDDEN_WEIGHT = 0.3
LEAST_LOG_SCALE, MOST_LOG_SCALE = -5.0, 5.0


def flow_loss(
    estimate: FlowEstimate, truth: torch.Tensor, occluded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequence loss of the flow, and the loss of its log-scale; scalars.

    truth:    float32 [B, 2, H, W], pixels
    occluded: bool [B, 1, H, W]
    The flow's is (|e| + .01)^.5 of every update, the last with weight 1, each one before with .85
    of the next. The log-scale s is that of a Laplace density of the last error, s + |e| / exp(s),
    and leaves the flow alone.
    """
    weight = torch.where(occluded, HIDDEN_WEIGHT, 1.0)
    weight = weight / weight.mean(dim=(1, 2, 3), keepdim=True) / len(weight)
    loss = truth.new_zeros(())
    flows = (*estimate.coarse, estimate.flow)
    for age, flow in enumerate(reversed(flows)):
        robust = (endpoint_errors(flow, truth) + 0.01).sqrt()
        loss = loss + SEQUENCE_WEIGHT**age * (weight * robust).sum() / truth[0, 0].numel()
    error = endpoint_errors(estimate.flow.detach(), truth)
    log_scale = estimate.log_scale.clamp(LEAST_LOG_SCALE, MOST_LOG_SCALE)
    return loss, (log_scale + error * (-log_scale).exp()).mean()


def endpoint_errors(flow: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Lengths of the errors [B, 1, H, W] of flows [B, 2, H, W]."""
    # A length has no gradient at zero; a millionth of a pixel gives it one.
    return ((flow - truth).square().sum(1, keepdim=True) + 1e-12).sqrt()

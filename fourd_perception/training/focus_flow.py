"""Flow between the pairs of cells in focus, and its loss."""

from __future__ import annotations

from typing import Protocol

from fourd_perception.model.heads.flow import FlowEstimate, FlowModule
from fourd_perception.training.flow_loss import flow_loss
from fourd_perception.training.focus import Focus
import torch

Flows = tuple[FlowEstimate, FlowEstimate]


class FlowTruth(Protocol):
    """True flow at the cells of a layout, [n, S, ...] as in `Clips`."""

    @property
    def flow_forward(self) -> torch.Tensor: ...
    @property
    def flow_backward(self) -> torch.Tensor: ...
    @property
    def occluded_forward(self) -> torch.Tensor: ...
    @property
    def occluded_backward(self) -> torch.Tensor: ...


def focus_flows(module: FlowModule | None, images: torch.Tensor, focus: Focus) -> Flows | None:
    """Forward and backward flow of the n P pairs, clip by clip; None without module or pairs.

    images: float [n, S, 3, H, W] in 0..1
    """
    if module is None or not focus.pairs:
        return None
    older, newer = focus.sides
    return module(images[:, older].flatten(0, 1), images[:, newer].flatten(0, 1))


def flow_terms(flows: Flows | None, truth: FlowTruth, focus: Focus) -> dict[str, torch.Tensor]:
    """Losses [n] of flow and log-scale over the pairs of which flow is known, both ways."""
    if flows is None:
        nothing = truth.flow_forward.new_zeros(len(truth.flow_forward))
        return {'flow': nothing, 'flow_scale': nothing}
    older, newer = focus.sides
    losses = [
        flow_loss(flows[0], truth.flow_forward[:, older], truth.occluded_forward[:, older]),
        flow_loss(flows[1], truth.flow_backward[:, newer], truth.occluded_backward[:, newer]),
    ]
    flow, scale = (0.5 * (there + back) for there, back in zip(*losses))
    return {'flow': flow, 'flow_scale': scale}

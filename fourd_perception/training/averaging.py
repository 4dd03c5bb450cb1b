"""The running average of the weights, which validation sees and which ships."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.distributed.tensor import DTensor


def averaged_copy(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode to keep the average in; frozen parameters are shared with it."""
    frozen = {id(p): p for p in network.parameters() if not p.requires_grad}
    return copy.deepcopy(network, dict(frozen)).eval().requires_grad_(False)


def average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Draw the average towards the network, early steps faster: decay <= (1 + n) / (10 + n)."""
    decay = min(decay, (1 + step) / (10 + step))
    pairs = [
        (_local(a), _local(p))
        for a, p in zip(averaged.parameters(), network.parameters())
        if p.requires_grad
    ]
    old, new = map(list, zip(*pairs))
    with torch.no_grad():
        torch._foreach_lerp_(old, new, 1 - decay)
        for kept, buffer in zip(averaged.buffers(), network.buffers()):
            kept.copy_(buffer)


def _local(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter

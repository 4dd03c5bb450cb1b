"""What the trainer asks of a task: terms of a loss, errors, pictures; the rest is the trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class StepContext:
    """What a task may know of the moment.

    step:     steps taken before this one, over all runs of this training
    progress: 0..1 of this training, of its minutes or of its steps
    seeds:    one for each sample that this call shall draw (this rank's share of the step, or a
              part of it), unique over the whole training and from 2^31 to 2^32 - 1; what is
              drawn of a sample is a function of its seed alone, whichever samples are beside it
    device:   where the network is
    """

    step: int
    progress: float
    seeds: tuple[int, ...]
    device: torch.device


class Task(Protocol):
    """A network and what is asked of it."""

    @property
    def network(self) -> nn.Module:
        """All parameters that checkpoints hold; those with `requires_grad` are trained.

        In training mode. Where it is divided over processes, its parameters are replaced, so a
        task keeps none of them.
        """
        ...

    def losses(self, context: StepContext) -> Mapping[str, torch.Tensor]:
        """Weighted terms by name, each [n]: one value per sample, 0 where it says nothing.

        Differentiable; the same names in every call. Called under autocast, which it disables for
        what must keep its digits: truth, geometry, losses. What is minimised is the sum over
        terms and samples divided by the samples of the step on all ranks, so that several ranks
        equal one process.
        """
        ...

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Parameters of the trunk, where the norms of the terms' gradients are compared."""
        ...

    def validate(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Errors on the frozen set by name, lower is better unless the name says otherwise.

        network: a copy of `self.network` with averaged weights, in evaluation mode
        budget:  number of samples, evenly spaced over the frozen set, the same in every call
        """
        ...

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """Pictures of what the network does by name, uint8 [H, W, 3]."""
        ...


class TaskSettings(Protocol):
    """What a configuration says of a task under `task:`; a frozen dataclass of plain values."""

    def build(self, device: torch.device) -> Task:
        """Draw (torch's generators are seeded) or load the network, and place it on the device."""
        ...

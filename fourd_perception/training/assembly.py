"""All that belongs to a training, built from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
import copy
from dataclasses import dataclass

from fourd_perception.training.averaging import averaged_copy
from fourd_perception.training.config import TrainingConfig
from fourd_perception.training.objective import (
    backward,
    compile_blocks,
    divided,
    objective,
    recompute_blocks,
)
from fourd_perception.training.optimisers import optimisers_of
from fourd_perception.training.processes import Processes
from fourd_perception.training.sample_seeds import sample_seeds, share
from fourd_perception.training.task import StepContext, Task
from fourd_perception.training.warm_start import start_from
import torch
from torch import nn


@dataclass(frozen=True, eq=False)
class Assembly:
    """The parts of a training on this process.

    objective:  the task's losses, which copies or divides the network over processes
    averaged:   the running average of the network, divided as the network is
    viewed:     the network that the task validates and pictures, always whole: `averaged` itself,
                or where that is divided, a copy to fill, which only the first process has
    share:      numbers of this process' samples in a step, in groups that are read at once
    """

    config: TrainingConfig
    processes: Processes
    task: Task
    objective: nn.Module
    averaged: nn.Module
    viewed: nn.Module | None
    optimisers: list[torch.optim.Optimizer]
    share: list[range]

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that learn."""
        return [p for p in self.task.network.parameters() if p.requires_grad]

    def contexts(self, step: int, progress: float) -> list[StepContext]:
        """What this process reads in a step."""
        config, device = self.config, self.processes.device
        return [
            StepContext(
                step, progress, sample_seeds(config.seed, step, config.batch, samples), device
            )
            for samples in self.share
        ]

    def backward(
        self, contexts: list[StepContext], weights: Mapping[str, float]
    ) -> dict[str, torch.Tensor]:
        """Gather the gradients of a step; returns this process' part of every term, unweighted."""
        precision = torch.bfloat16 if self.config.precision == 'bf16' else None
        return backward(
            self.objective, contexts, weights, self.config.batch, self.processes, precision
        )


def assembled(config: TrainingConfig, processes: Processes) -> Assembly:
    """Build task, network, average and optimisers; ValueError where they do not go together."""
    numbers = share(config.batch, processes.rank, processes.count, config.micro_batch)
    torch.manual_seed(config.seed)
    task = config.task.build(processes.device)
    network = task.network.train()
    for source in config.start_from:
        start_from(network, source)
    averaged = averaged_copy(network)
    viewed: nn.Module | None = averaged
    if config.parallel == 'fsdp' and processes.count > 1:
        viewed = copy.deepcopy(averaged) if processes.first else None
        divided(averaged, processes)
    if config.recompute:
        recompute_blocks(network)
    if config.compile:
        compile_blocks(network)
    module = objective(task, config.parallel, processes)
    optimisers = optimisers_of(network, config)
    return Assembly(config, processes, task, module, averaged, viewed, optimisers, numbers)

"""A task as one module, copied (DDP) or divided (FSDP2) over processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from fourd_perception.model.layers.block import Block
from fourd_perception.training.processes import Processes
from fourd_perception.training.task import StepContext, Task
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint


class Objective(nn.Module):
    """Calls the task's losses from its forward pass, where DDP and FSDP2 see all that is used.

    Tasks call methods of their networks, which these wrappers do not watch.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.network = task.network
        self._losses = task.losses

    def forward(self, context: StepContext) -> dict[str, torch.Tensor]:
        """The terms of the loss by name, each [n]."""
        return dict(self._losses(context))


def objective(task: Task, parallel: str, processes: Processes) -> nn.Module:
    """The task's losses as a module whose backward pass leaves the mean gradient of all processes.

    parallel: `ddp` or `fsdp`; the latter divides the parameters of `task.network` in place
    """
    module = Objective(task)
    if processes.count == 1:
        return module
    if parallel == 'fsdp':
        return divided(module, processes)
    # A step may leave out parts of the network; and which ones may differ between processes.
    return DistributedDataParallel(module, find_unused_parameters=True)


def divided(module: nn.Module, processes: Processes) -> nn.Module:
    """The module, in place, with a part of every parameter on each process.

    A transformer block gathers its own parameters when it runs, the module those of the rest.
    """
    mesh = init_device_mesh(processes.device.type, (processes.count,))
    for block in blocks(module):
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


@contextmanager
def gradients_exchanged(module: nn.Module, exchanged: bool) -> Iterator[None]:
    """Exchange gradients in this backward pass, or gather them on each process for a later one."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(exchanged)
    if isinstance(module, DistributedDataParallel) and not exchanged:
        with module.no_sync():
            yield
    else:
        yield


def backward(
    module: nn.Module,
    contexts: list[StepContext],
    weights: Mapping[str, float] | None,
    batch: int,
    processes: Processes,
    autocast: torch.dtype | None,
) -> dict[str, torch.Tensor]:
    """Gather the gradients of one step; returns this process' part of every term, unweighted.

    contexts: of the samples that are read at once, one after the other
    weights:  of the terms, by name; None: 1
    batch:    samples of all processes
    Minimised is the sum over terms and samples of all processes, divided by the batch.
    """
    sums: dict[str, torch.Tensor] = {}
    for i, context in enumerate(contexts):
        # Whatever draws from torch's own generators draws by the samples, resumed or not.
        torch.manual_seed(context.seeds[0])
        last = i == len(contexts) - 1
        with gradients_exchanged(module, last):
            with torch.autocast(context.device.type, autocast, enabled=autocast is not None):
                terms = module(context)
            parts = {name: term.float().sum() / batch for name, term in terms.items()}
            total = torch.stack([(weights or {}).get(n, 1.0) * p for n, p in parts.items()]).sum()
            # DDP and FSDP2 take the mean over processes, where the sum is wanted.
            (total * processes.count).backward()
        for name, part in parts.items():
            sums[name] = sums.get(name, 0) + part.detach()
    return sums


def blocks(network: nn.Module) -> list[Block]:
    """The transformer blocks: what is compiled, recomputed and divided as one."""
    return [module for module in network.modules() if isinstance(module, Block)]


def recompute_blocks(network: nn.Module) -> None:
    """Let every block forget its inner values and find them again in the backward pass."""
    for block in blocks(network):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]


def compile_blocks(network: nn.Module) -> None:
    """Compile every block, where it is; names of parameters stay as they are."""
    for block in blocks(network):
        block.compile()

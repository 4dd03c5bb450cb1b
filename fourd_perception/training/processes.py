"""Several processes that train one network, as torchrun starts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
import os

import torch
import torch.distributed as dist

# While the first process validates, the others wait for it.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Processes:
    """This process among `count`: its number, and the device that it uses."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def summed(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes, in float64."""
        total = torch.tensor(values, dtype=torch.float64)
        if self.count > 1:
            dist.all_reduce(total)
        return total.tolist()


def process_count() -> int:
    """Processes that have joined; 1 where this is the only one."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun has started, or be the only one; once is enough.

    device: `auto`, `cpu` or `cuda`; with several processes on GPUs each takes its own
    Raises ValueError where there is no GPU, or too few.
    """
    rank, count = (int(os.environ.get(n, d)) for n, d in (('RANK', '0'), ('WORLD_SIZE', '1')))
    chosen = _device(device, int(os.environ.get('LOCAL_RANK', '0')))
    if count == 1 or dist.is_initialized():
        yield Processes(rank, count, chosen)
        return
    backend = 'cpu:gloo,cuda:nccl' if chosen.type == 'cuda' else 'gloo'
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes(rank, count, chosen)
    finally:
        dist.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == 'cpu' or (name == 'auto' and not torch.cuda.is_available()):
        return torch.device('cpu')
    found = torch.cuda.device_count()
    if local_rank >= found:
        raise ValueError(
            f'device {name}: process {local_rank} of this machine has no GPU of its own, there '
            f'are {found}; start as many processes as GPUs, or set device: cpu'
        )
    device = torch.device('cuda', local_rank)
    torch.cuda.set_device(device)
    return device

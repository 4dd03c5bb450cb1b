"""Weights to start from, taken over by name."""

from __future__ import annotations

from collections.abc import Iterable

from fourd_perception.model.checkpoint_files import listed, open_tensors
from fourd_perception.model.public_checkpoints import local_file
from fourd_perception.training.config import StartFrom
import torch
from torch import nn


def start_from(network: nn.Module, source: StartFrom) -> int:
    """Copy the tensors of a file into the network; returns how many.

    Raises ValueError that lists names that one side has and the other lacks, unless `source`
    allows them, and tensors of another shape.
    """
    file = open_tensors(local_file(source.weights))
    found = {source.into + name: tensor for name, tensor in file.tensors.items()}
    own = {n: t for n, t in network.state_dict().items() if n.startswith(source.into)}
    missing = _others(own.keys() - found.keys(), source.into, source.missing)
    unused = _others(found.keys() - own.keys(), source.into, source.unused)
    both = [name for name in own if name in found]
    misshapen = [
        f'{name} {list(found[name].shape)} instead of {list(own[name].shape)}'
        for name in both
        if found[name].shape != own[name].shape
    ]
    faults = {
        'missing in it (allow beginnings of names by `missing`)': missing,
        'unknown to the network (allow beginnings of names by `unused`)': unused,
        'mis-shaped': misshapen,
    }
    said = [f'{len(n)} {kind}: {listed(n)}' for kind, n in faults.items() if n]
    if not both:
        said.append(f'no name in common; first here: {listed(sorted(own), 2)}')
    if said:
        raise ValueError(f'start_from {source.weights}: {"; ".join(said)}')
    with torch.no_grad():
        for name in both:
            own[name].copy_(found[name])
    return len(both)


def _others(names: Iterable[str], into: str, allowed: tuple[str, ...]) -> list[str]:
    """Names that do not begin, behind `into`, as is allowed."""
    return sorted(n for n in names if not n.removeprefix(into).startswith(allowed or ('\0',)))

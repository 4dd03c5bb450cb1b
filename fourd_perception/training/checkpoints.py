"""Files of a training: all that is needed to go on, and the weights that a user can run.

A file is one of torch.save, with plain values only. `model` holds the averaged weights, beside
`network_config`, so that the node and `weights check` take it as it is; `training` the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
import json
import os
from pathlib import Path
from typing import Any

from fourd_perception.model.checkpoint_config import CONFIG_KEY
import torch
from torch import nn
from torch.distributed.tensor import distribute_tensor, DTensor


def weights_metadata(network: nn.Module, licence: str | None) -> dict[str, str]:
    """What weight files say of a network: its configuration, where it has one, and licence."""
    found = {} if licence is None else {'licence': licence}
    config = getattr(network, 'config', None)
    if is_dataclass(config) and not isinstance(config, type):
        found[CONFIG_KEY] = json.dumps(asdict(config))
    return found


def gathered(
    network: nn.Module,
    averaged: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    kept: bool,
) -> dict[str, Any]:
    """Contents of a file; all processes must call it, see `whole`."""
    return {
        'model': whole(averaged.state_dict(), kept),
        'training': {
            'weights': whole(network.state_dict(), kept),
            'optimisers': [whole(optimiser.state_dict(), kept) for optimiser in optimisers],
        },
    }


def restore(
    content: Mapping[str, Any],
    network: nn.Module,
    averaged: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
) -> None:
    """Put what a file holds where `gathered` took it from; ValueError where it does not fit."""
    saved = content['training']
    try:
        load_whole(averaged, content['model'])
        load_whole(network, saved['weights'])
        for optimiser, state in zip(optimisers, saved['optimisers'], strict=True):
            optimiser.load_state_dict(_divided_as_parameters(state, optimiser))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f'the file is of another network or optimiser: {error}') from None


def load_whole(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Load whole tensors, each process taking its part where the network is divided."""
    own = network.state_dict()
    network.load_state_dict({n: _like(t, own[n]) if n in own else t for n, t in state.items()})


def whole(value: Any, kept: bool) -> Any:
    """A state dictionary with its tensors on the CPU, divided ones put together.

    kept: whether this process wants them, else they are None; but all must call it
    """
    if isinstance(value, DTensor):
        value = value.full_tensor()
    if isinstance(value, torch.Tensor):
        return value.detach().cpu() if kept else None
    if isinstance(value, Mapping):
        return {name: whole(member, kept) for name, member in value.items()}
    return [whole(member, kept) for member in value] if isinstance(value, list) else value


def _like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    if not isinstance(parameter, DTensor) or tensor.shape != parameter.shape:
        return tensor
    mesh = parameter.device_mesh
    return distribute_tensor(tensor.to(mesh.device_type), mesh, parameter.placements)


def _divided_as_parameters(
    state: Mapping[str, Any], optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    """The state of an optimiser, whose moments are divided as the parameters that they are of."""
    parameters = [p for group in optimiser.param_groups for p in group['params']]
    moments = {
        i: {
            name: _like(v, parameters[i]) if isinstance(v, torch.Tensor) else v
            for name, v in of_one.items()
        }
        for i, of_one in state['state'].items()
    }
    return {**state, 'state': moments}


def write_atomically(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is either the old one or the whole new one, whatever happens."""
    partial = path.with_name(path.name + '.partial')
    with partial.open('wb') as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_atomically` wrote; FileNotFoundError, or ValueError for another kind of file."""
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file; without it there is nothing to resume')
    content = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    if not isinstance(content, dict) or 'training' not in content:
        raise ValueError(f'{path} is no file of a training; use it under start_from instead')
    return content

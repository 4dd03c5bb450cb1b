"""On which device and in which number format a network runs."""

from __future__ import annotations

from typing import TypeVar

from fourd_perception.model.network import Network
from fourd_perception.model.small.network import FourdSmall
import torch
from torch import nn

AnyNetwork = TypeVar('AnyNetwork', bound='Network | FourdSmall')

PRECISIONS = ('fp32', 'bf16')


def default_precision(device: torch.device) -> str:
    """`bf16` where the device multiplies matrices in it, else `fp32`."""
    fast = device.type == 'cuda' and torch.cuda.is_bf16_supported()
    return 'bf16' if fast else 'fp32'


def placed(network: AnyNetwork, device: torch.device, precision: str) -> AnyNetwork:
    """The same network on a device, ready to infer.

    precision: `fp32`, or `bf16` for the matrices of encoder and trunk, to be run under autocast.
        Norms, tokens and heads stay float32, so this is what autocast makes of float32 weights,
        without converting them at every call.
    Raises ValueError for anything else.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision {precision!r}; use one of {", ".join(PRECISIONS)}')
    network.to(device, torch.float32).eval().requires_grad_(False)
    if precision == 'bf16':
        for part in network.trunk_parts:
            for module in part.modules():
                if isinstance(module, (nn.Linear, nn.Conv2d, nn.GRUCell)):
                    module.to(torch.bfloat16)
    return network

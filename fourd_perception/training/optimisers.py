"""Which parameters are trained by which optimiser, and which of them decay (training.md 3.8)."""

from __future__ import annotations

from fourd_perception.model.layers.block import Block
from fourd_perception.training.config import TrainingConfig
import torch
from torch import nn

BETAS = (0.9, 0.95)


def optimisers_of(network: nn.Module, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all trained parameters, or Muon for the blocks' matrices and AdamW for the rest.

    Norms, biases, tokens and embeddings do not decay. ValueError where nothing is trained.
    """
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError(f'{type(network).__name__} has no parameter that requires a gradient')
    matrices = block_matrices(network) & trained.keys() if config.optimiser == 'muon' else set()
    others = {name: p for name, p in trained.items() if name not in matrices}
    decaying = decaying_names(network)
    groups = [
        {
            'params': [p for name, p in others.items() if (name in decaying) == decays],
            'weight_decay': config.weight_decay if decays else 0.0,
        }
        for decays in (True, False)
    ]
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [group for group in groups if group['params']], lr=config.rate, betas=BETAS, fused=True
        )
    ]
    if matrices:
        found.append(
            torch.optim.Muon(
                [p for name, p in trained.items() if name in matrices],
                lr=config.rate,
                weight_decay=config.weight_decay,
                # The same rate then suits both optimisers.
                adjust_lr_fn='match_rms_adamw',
            )
        )
    return found


def set_rate(optimisers: list[torch.optim.Optimizer], rate: float) -> None:
    """Let every group learn at this rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group['lr'] = rate


def decaying_names(network: nn.Module) -> set[str]:
    """Names of the matrices and kernels, embeddings apart."""
    return {
        f'{path}.{name}'.lstrip('.')
        for path, owner in network.named_modules()
        if not isinstance(owner, nn.Embedding)
        for name, parameter in owner.named_parameters(recurse=False)
        if parameter.ndim >= 2 and 'weight' in name
    }


def block_matrices(network: nn.Module) -> set[str]:
    """Names of the weights of linear layers in transformer blocks."""
    return {
        f'{block_name}.{name}.weight'
        for block_name, block in network.named_modules()
        if isinstance(block, Block)
        for name, layer in block.named_modules()
        if isinstance(layer, nn.Linear)
    }

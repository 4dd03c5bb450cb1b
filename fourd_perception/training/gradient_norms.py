"""How strongly each term of the loss pulls at the trunk (training.md 3.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from statistics import median

import torch
from torch import nn
from torch.distributed.tensor import DTensor

EVERY_STEPS = 500
MOST_RATIO = 5.0


def term_norms(
    names: Sequence[str],
    backward: Callable[[Mapping[str, float]], object],
    parameters: Callable[[], Sequence[nn.Parameter]],
) -> dict[str, float]:
    """Norm of the gradient of every term at some parameters.

    backward: gathers the gradients of one step, given the weight of every term
    Leaves no gradient of the parameters behind that is worth keeping.
    """
    norms = {}
    for name in names:
        for parameter in parameters():
            parameter.grad = None
        backward({other: float(other == name) for other in names})
        gradients = [p.grad for p in parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        norms[name] = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    return norms


def unbalanced(norms: Mapping[str, float]) -> str | None:
    """What is to be said of terms of which one pulls over five times as much as another."""
    pulling = {name: norm for name, norm in norms.items() if norm > 0}
    if not pulling:
        return None
    most, least = max(pulling, key=pulling.__getitem__), min(pulling, key=pulling.__getitem__)
    ratio = pulling[most] / pulling[least]
    if ratio <= MOST_RATIO:
        return None
    return (
        f'the gradient of {most} at the trunk is {ratio:.1f} times that of {least} (limit '
        f'{MOST_RATIO:g}); rescale their weights, or set balance: true'
    )


def balanced(norms: Mapping[str, float]) -> dict[str, float]:
    """Weights of the terms with which no gradient exceeds five times another.

    Terms far from the median are brought to the nearer end of a range around it, others stay.
    """
    pulling = [norm for norm in norms.values() if norm > 0]
    if not pulling:
        return dict.fromkeys(norms, 1.0)
    middle = exp(median(map(log, pulling)))
    low, high = middle / MOST_RATIO**0.5, middle * MOST_RATIO**0.5
    return {n: min(max(norm, low), high) / norm if norm > 0 else 1.0 for n, norm in norms.items()}

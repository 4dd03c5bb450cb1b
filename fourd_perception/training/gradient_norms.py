"""How strongly each term of the loss pulls at the trunk (training.md 3.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, isfinite, log
from statistics import median

import torch
from torch import nn
from torch.distributed.tensor import DTensor

EVERY_STEPS = 500
MOST_RATIO = 5.0
# Of the greatest norm: that of a term that says nothing is 1e-8 of it.
LEAST_SHARE = 1e-4


def term_norms(
    backward: Callable[[Mapping[str, float]], Iterable[str]],
    parameters: Callable[[], Sequence[nn.Parameter]],
) -> dict[str, float]:
    """Norm of the gradient of every term at some parameters.

    backward: gathers the gradients of one step, given the weights of terms (1 unless given);
              returns their names
    Leaves no gradient of the parameters behind that is worth keeping.
    """
    norms = {}
    names = list(backward({}))
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
    pulling = telling(norms)
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
    """Weights of terms, of `telling` norms, with which no gradient exceeds five times another.

    Terms far from the median are brought to the nearer end of a range around it, others stay.
    """
    if not norms:
        return {}
    middle = exp(median(map(log, norms.values())))
    low, high = middle / MOST_RATIO**0.5, middle * MOST_RATIO**0.5
    return {name: min(max(norm, low), high) / norm for name, norm in norms.items()}


def telling(norms: Mapping[str, float]) -> dict[str, float]:
    """Norms of the terms that say something in a step; of others they are 0, or rounding."""
    least = LEAST_SHARE * max(filter(isfinite, norms.values()), default=0.0)
    return {n: norm for n, norm in norms.items() if isfinite(norm) and norm > least}

"""One step of a training: gradients, whether they are fit, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite

from fourd_perception.training.assembly import Assembly
from fourd_perception.training.averaging import average
from fourd_perception.training.gradient_norms import balanced, telling, term_norms, unbalanced
from fourd_perception.training.optimisers import set_rate
from fourd_perception.training.schedule import rate_factor
import torch
from torch.distributed.tensor import DTensor

CLIP = 1.0
MOST_IN_A_ROW = 10


@dataclass
class Position:
    """How far a training has come.

    step, seconds: taken and passed, over all runs
    skipped, in_a_row: steps whose loss or gradient was not finite: all, and the newest ones
    norms, weights: what `balance` last heard of the terms' gradients, and made of them
    """

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    in_a_row: int = 0
    norms: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepReport:
    """What a step was like.

    terms: mean over the batch of every term, unweighted; loss: their weighted sum
    norm:  of the gradient, before it is clipped
    rate:  of learning
    stop:  whether a process has been asked to stop
    """

    terms: dict[str, float]
    loss: float
    norm: float
    rate: float
    stop: bool


def take_step(
    parts: Assembly,
    position: Position,
    progress: float,
    clock: Callable[[], float],
    stop: Callable[[], bool],
) -> StepReport:
    """Learn from the samples of the next step, and move the position on.

    clock: seconds of training; the first process' counts
    A step with a loss or gradient that is not finite changes no weight; ValueError after ten of
    them in a row.
    """
    rate = parts.config.rate * rate_factor(progress)
    set_rate(parts.optimisers, rate)
    sums = parts.backward(parts.contexts(position.step, progress), position.weights)
    norm = torch.nn.utils.clip_grad_norm_(parts.trained, CLIP)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    # The one place in a step where the host waits for the device: whether to learn is decided.
    *own, size = torch.stack([*sums.values(), norm.to(parts.processes.device)]).tolist()
    first = parts.processes.first
    agreed = parts.processes.summed([*own, clock() if first else 0.0, float(stop())])
    position.seconds = agreed[-2]
    terms = dict(zip(sums, agreed[:-2]))
    loss = sum(position.weights.get(name, 1.0) * term for name, term in terms.items())
    report = StepReport(terms, loss, size, rate, agreed[-1] > 0)
    if isfinite(loss) and isfinite(size):
        for optimiser in parts.optimisers:
            optimiser.step()
        average(parts.averaged, parts.task.network, parts.config.average, position.step)
        position.in_a_row = 0
    else:
        _skip(position, report)
    for optimiser in parts.optimisers:
        optimiser.zero_grad()
    position.step += 1
    return report


def compare_terms(
    parts: Assembly, position: Position, progress: float
) -> tuple[dict[str, float], str | None]:
    """Norms of the terms' gradients at the trunk, and a warning; rescales them where asked to.

    The norms are those of the task's terms, without the weights that `balance` has given them.
    """
    contexts = parts.contexts(position.step, progress)
    norms = term_norms(lambda one: parts.backward(contexts, one), parts.task.shared_parameters)
    for optimiser in parts.optimisers:
        optimiser.zero_grad()
    if parts.config.balance:
        # A term that says nothing in this step pulls as it did when it last spoke.
        position.norms |= telling(norms)
        position.weights = balanced(position.norms)
        return norms, None
    return norms, unbalanced(norms)


def _skip(position: Position, report: StepReport) -> None:
    position.skipped += 1
    position.in_a_row += 1
    if position.in_a_row < MOST_IN_A_ROW:
        return
    wrong = [name for name, term in report.terms.items() if not isfinite(term)]
    where = f'the terms {", ".join(wrong)} are' if wrong else 'the gradient is'
    raise ValueError(
        f'{where} not finite in {position.in_a_row} steps in a row, up to step {position.step}; '
        'no weight was changed by them. Lower the rate, or resume with precision: fp32'
    )

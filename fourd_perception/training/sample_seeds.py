"""Seeds of samples: each drawn once, in an order that ranks and interruptions do not change."""

from __future__ import annotations

# torch's CPU generator tells 2^32 seeds apart; the lower half is left to evaluation.
FIRST = 1 << 31
# Trainings of different seeds begin at different places of the one long sequence.
STRIDE = 0x9E3779B1


def sample_seeds(seed: int, step: int, batch: int, samples: range) -> tuple[int, ...]:
    """Seeds of some samples of a step, from 2^31 to 2^32 - 1.

    samples: numbers within the step, 0 to batch - 1
    No two samples of a training have one seed until 2^31 are drawn.
    """
    first = seed * STRIDE + step * batch
    return tuple(FIRST + (first + i) % FIRST for i in samples)


def share(batch: int, rank: int, ranks: int, micro_batch: int | None) -> list[range]:
    """The samples of a step that one process reads, in groups that it reads at once.

    Raises ValueError where they do not divide.
    """
    if batch % ranks:
        raise ValueError(f'batch {batch} is not divisible by {ranks} processes')
    own = batch // ranks
    size = own if micro_batch is None else min(micro_batch, own)
    if own % size:
        raise ValueError(
            f'micro_batch {size} does not divide the {own} samples of each process; '
            f'choose a divisor of {own}'
        )
    first = rank * own
    return [range(start, start + size) for start in range(first, first + own, size)]

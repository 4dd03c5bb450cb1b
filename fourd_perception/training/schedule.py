"""How long a training lasts, and its learning rate: up, level, down to 0 (training.md 3.8)."""

from __future__ import annotations

from dataclasses import dataclass

WARM_UP = 0.03
DECAY = 0.20


@dataclass(frozen=True)
class Length:
    """Minutes of wall clock, summed over all runs of a training, or steps; one of them is None."""

    minutes: float | None
    steps: int | None

    def progress(self, step: int, seconds: float) -> float:
        """Share of the training that is over after so many steps and seconds."""
        if self.steps is not None:
            return step / self.steps
        assert self.minutes is not None
        return seconds / (60 * self.minutes)

    def __str__(self) -> str:
        return f'{self.minutes:g} minutes' if self.steps is None else f'{self.steps} steps'


def rate_factor(progress: float) -> float:
    """Share of the full learning rate at `progress` (0..1) of the time: up, level, down to 0."""
    return max(0.0, min(progress / WARM_UP, 1.0, (1.0 - progress) / DECAY))

"""A learning rate that follows the wall clock: training ends when its minutes are over."""

from __future__ import annotations

WARM_UP = 0.03
DECAY = 0.20


def rate_factor(progress: float) -> float:
    """Share of the full learning rate at `progress` (0..1) of the time: up, level, down to 0."""
    return max(0.0, min(progress / WARM_UP, 1.0, (1.0 - progress) / DECAY))

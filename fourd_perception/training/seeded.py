"""Random choices that belong to a sample or to a step, whoever draws them and in what order."""

from __future__ import annotations

from typing import get_args, Literal

import numpy as np

# What is drawn: the grid of a step and its cells in focus; where a sample comes from, and what is
# told of it.
Purpose = Literal['grid', 'focus', 'source', 'told']


def choices(purpose: Purpose, number: int) -> np.random.Generator:
    """Choices of one purpose for one sample (its seed) or step: the same on every rank and run.

    Independent of each other, and of what scenes and data sets draw of the same seed.
    """
    return np.random.default_rng([number, 1 + get_args(Purpose).index(purpose)])

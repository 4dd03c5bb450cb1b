"""Quantities with limits, gathered over many images."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np


@dataclass(frozen=True)
class Check:
    """One line of a table of accuracy.

    what, unit: in words; value: NaN when nothing was compared
    limit:      the most that `value` may be (the least, if `at_least`); None without a limit
    count:      pixels, points, poses or messages compared
    where:      at which camera and stamp the worst was met; empty for means
    """

    what: str
    value: float
    unit: str
    limit: float | None
    count: int
    where: str = ''
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the limit is kept; a limit without a comparison is broken."""
        if self.limit is None:
            return True
        kept = self.value >= self.limit if self.at_least else self.value <= self.limit
        return self.count > 0 and kept


class Worst:
    """The largest of many values, how many there were, and where it was met."""

    def __init__(self, what: str, unit: str, limit: float | None) -> None:
        self._what, self._unit, self._limit = what, unit, limit
        self._value, self._count, self._where = -math.inf, 0, ''

    def add(self, values: np.ndarray | float, where: str) -> None:
        """Take values of one image; NaN counts as infinitely bad."""
        values = np.atleast_1d(np.asarray(values, float))
        self._count += values.size
        if values.size:
            largest = float(np.where(np.isnan(values), math.inf, values).max())
            if largest > self._value:
                self._value, self._where = largest, where

    def check(self) -> Check:
        """The line of the table."""
        value = self._value if self._count else math.nan
        return Check(self._what, value, self._unit, self._limit, self._count, self._where)


class Mean:
    """The mean of values over all images, each image weighted by how many it brings."""

    def __init__(
        self, what: str, unit: str, limit: float | None = None, at_least: bool = False
    ) -> None:
        self._what, self._unit, self._limit, self._at_least = what, unit, limit, at_least
        self._sum, self._count = 0.0, 0

    def add(self, mean: float, count: int) -> None:
        """Take the mean of `count` values of one image."""
        self._sum += mean * count
        self._count += count

    def check(self) -> Check:
        """The line of the table."""
        value = self._sum / self._count if self._count else math.nan
        return Check(
            self._what, value, self._unit, self._limit, self._count, at_least=self._at_least
        )


class Faults:
    """A number that must be zero: of pixels that differ, points that do not belong, and so on."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._faults = self._count = 0
        self._where = ''

    def add(self, faults: int, count: int, where: str) -> None:
        """Take `faults` among `count` compared."""
        if faults and not self._faults:
            self._where = where
        self._faults += faults
        self._count += count

    def check(self) -> Check:
        """The line of the table."""
        return Check(self._what, self._faults, self._unit, 0, self._count, self._where)

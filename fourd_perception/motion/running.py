"""Ranges and thresholds that a stream learns slowly and forgets slowly (VGGT4D C.11)."""

from __future__ import annotations

from fourd_perception.motion.otsu import BINS, Histogram, histogram_threshold
import numpy as np
import torch

LOW, HIGH = 0.01, 0.99
HALF_LIFE = 32.0  # slices
EPS = 1e-6


class RunningRange:
    """The 1 % and 99 % quantiles of maps, averaged over slices with a half-life.

    Until as many slices have come as the half-life is long, all count alike.
    """

    def __init__(self) -> None:
        self._low: torch.Tensor | None = None
        self._high: torch.Tensor | None = None
        self._slices = 0

    def update(self, maps: torch.Tensor) -> None:
        """Take in the maps [K, h, w] of one slice; each of the K has a range of its own."""
        flat = maps.flatten(1)
        low, high = (flat.quantile(q, dim=1) for q in (LOW, HIGH))
        self._slices += 1
        if self._low is None or self._high is None:
            self._low, self._high = low, high
            return
        rate = max(1 - 2 ** (-1 / HALF_LIFE), 1 / self._slices)
        self._low = self._low + rate * (low - self._low)
        self._high = self._high + rate * (high - self._high)

    def scaled(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps [K, ..., h, w] as 0 at the low and 1 at the high end of the range, cut there.

        RuntimeError before the first update.
        """
        if self._low is None or self._high is None:
            raise RuntimeError('a range is known after the first slice; update before scaling')
        shape = (-1, *(1,) * (maps.ndim - 1))
        low, high = self._low.view(shape), self._high.view(shape)
        return ((maps - low) / (high - low + EPS)).clamp(0, 1)


class RunningThreshold:
    """Multi-Otsu over a histogram of 256 bins in 0..1 that halves every 32 slices."""

    def __init__(self) -> None:
        edges = np.linspace(0, 1, BINS + 1)
        self._centres = (edges[:-1] + edges[1:]) / 2
        self._counts = np.zeros(BINS)

    def update(self, values: torch.Tensor) -> None:
        """Take in the values of one slice, in 0..1."""
        counts = torch.histc(values.float(), BINS, 0.0, 1.0).double().cpu().numpy()
        self._counts = self._counts * 2 ** (-1 / HALF_LIFE) + counts

    @property
    def value(self) -> float:
        """The threshold; infinite while too few different values have come."""
        try:
            return histogram_threshold(Histogram(self._counts, self._centres))
        except ValueError:
            return float('inf')

"""Multi-level Otsu thresholds over a histogram (VGGT4D C.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

BINS = 256
CLASS_COUNTS = (2, 3, 4)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts [BINS] (float64) between the smallest and the largest value, and the bin centres."""

    counts: np.ndarray
    centres: np.ndarray


def histogram(values: torch.Tensor) -> Histogram:
    """Histogram of all finite-range values; ValueError when one of them is not finite."""
    low, high = values.min().item(), values.max().item()
    if not np.isfinite([low, high]).all():
        raise ValueError(
            f'values between {low} and {high} have no histogram; leave out what is not finite'
        )
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(values.double(), BINS, low, high).cpu().numpy()
    edges = np.linspace(low, high, BINS + 1)
    return Histogram(counts, (edges[:-1] + edges[1:]) / 2)


def multi_otsu(source: Histogram, classes: int) -> np.ndarray:
    """The `classes` - 1 thresholds that maximise the variance between the classes.

    Exact, by dynamic programming over the bins; of equal splits the first one. A value belongs to
    the lower class when it does not exceed the threshold. ValueError when fewer bins than classes
    are filled.
    """
    filled = np.flatnonzero(source.counts)
    if len(filled) < classes:
        raise ValueError(
            f'{len(filled)} different values (in {BINS} bins) do not split into {classes} classes'
        )
    if len(filled) == classes:
        return source.centres[filled[:-1]]
    weight = source.counts / source.counts.sum()
    first = np.concatenate([[0.0], np.cumsum(weight)])
    second = np.concatenate([[0.0], np.cumsum(weight * np.arange(1, BINS + 1))])
    mass = first[None] - first[:, None]
    with np.errstate(divide='ignore', invalid='ignore'):
        gain = np.where(mass > 0, (second[None] - second[:, None]) ** 2 / mass, 0.0)
    # gain[i, j] is the part of bins i .. j - 1; no class may be without a bin.
    gain[np.tri(BINS + 1, dtype=bool)] = -np.inf
    best, choices = gain[:, BINS], []
    for _ in range(classes - 1):
        total = gain + best[None]
        choices.append(total.argmax(1))
        best = total.max(1)
    cut, cuts = 0, []
    for choice in reversed(choices):
        cut = int(choice[cut])
        cuts.append(cut - 1)
    return source.centres[cuts]


def class_score(values: torch.Tensor, thresholds: Sequence[float] | np.ndarray) -> float:
    """Variance of the class means over sqrt(number of classes); NaN when a class is empty."""
    edges = torch.tensor(list(thresholds), dtype=values.dtype, device=values.device)
    member = torch.bucketize(values.flatten(), edges)
    count = len(thresholds) + 1
    sums = torch.zeros(count, dtype=torch.float64, device=values.device)
    sizes = sums.clone()
    sums.index_add_(0, member, values.flatten().double())
    sizes.index_add_(0, member, torch.ones_like(values.flatten(), dtype=torch.float64))
    means = (sums / sizes).cpu().numpy()
    return float(means.var() / count**0.5)


def motion_threshold(values: torch.Tensor, counts: Sequence[int] = CLASS_COUNTS) -> float:
    """The largest threshold of the split into 2, 3 or 4 classes whose class means spread most.

    values: the saliency of a whole clip, any shape
    counts: of classes to choose from
    ValueError when the values do not split into so many classes, as when nothing differs.
    """
    source = histogram(values)
    splits = [multi_otsu(source, classes) for classes in counts]
    scores = np.nan_to_num([class_score(values, split) for split in splits], nan=-np.inf)
    return float(splits[int(np.argmax(scores))][-1])


def histogram_threshold(source: Histogram) -> float:
    """`motion_threshold` of values of which only the histogram is known."""
    splits = [multi_otsu(source, classes) for classes in CLASS_COUNTS]
    return float(splits[int(np.argmax([_split_score(source, s) for s in splits]))][-1])


def _split_score(source: Histogram, thresholds: np.ndarray) -> float:
    """`class_score` of the bins."""
    member = np.searchsorted(thresholds, source.centres)
    count = len(thresholds) + 1
    sizes = np.bincount(member, source.counts, count)
    sums = np.bincount(member, source.counts * source.centres, count)
    return float((sums / sizes).var() / count**0.5) if (sizes > 0).all() else -np.inf

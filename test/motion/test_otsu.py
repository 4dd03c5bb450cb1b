"""Multi-level Otsu against trying every split, and what has no threshold."""

from __future__ import annotations

from itertools import combinations

from fourd_perception.motion.otsu import (
    BINS,
    class_score,
    Histogram,
    histogram,
    histogram_threshold,
    motion_threshold,
    multi_otsu,
)
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
import torch


def spread(counts, cuts):
    """Variance between the classes of bins 0 .. cuts[0], cuts[0] + 1 .. cuts[1], ..."""
    edges = [0, *(cut + 1 for cut in cuts), len(counts)]
    bins = np.arange(len(counts))
    total, mean = counts.sum(), (counts * bins).sum() / counts.sum()
    value = 0.0
    for start, end in zip(edges, edges[1:]):
        part = counts[start:end]
        if part.sum():
            value += part.sum() / total * ((part * bins[start:end]).sum() / part.sum() - mean) ** 2
    return value


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=9, max_size=12), st.integers(2, 4))
def test_no_other_split_spreads_the_classes_more(few, classes):
    counts = np.zeros(BINS)
    places = np.linspace(0, BINS - 1, len(few)).astype(int)
    counts[places] = few
    source = Histogram(counts, np.arange(BINS) + 0.5)
    if np.count_nonzero(counts) < classes:
        with pytest.raises(ValueError, match='do not split'):
            multi_otsu(source, classes)
        return
    found = multi_otsu(source, classes)
    assert len(found) == classes - 1
    cuts = [int(threshold - 0.5) for threshold in found]
    # Where no class may be empty the best is among the splits between filled bins.
    best = max(spread(counts, c) for c in combinations(places[:-1], classes - 1))
    assert spread(counts, cuts) == pytest.approx(best, rel=1e-9)


def test_the_split_whose_means_spread_most_is_taken_by_its_last_threshold():
    generator = torch.Generator().manual_seed(0)
    levels = [(0.1, 800), (0.5, 150), (0.9, 50)]
    values = torch.cat([m + 0.02 * torch.randn(n, generator=generator) for m, n in levels])
    splits = {n: multi_otsu(histogram(values), n) for n in (2, 3, 4)}
    scores = {}
    for n, split in splits.items():
        member = np.searchsorted(split, values.numpy())
        means = [values.numpy()[member == i].mean() for i in range(n)]
        scores[n] = np.var(means) / np.sqrt(n)
        assert class_score(values, split) == pytest.approx(scores[n], rel=1e-5)
    assert motion_threshold(values) == splits[max(scores, key=scores.get)][-1]


def test_the_histogram_alone_gives_nearly_the_same_threshold():
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(5000, generator=generator) ** 4
    assert histogram_threshold(histogram(values)) == pytest.approx(motion_threshold(values))


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        (torch.ones(8, 8), '1 different values'),
        (torch.tensor([0.0, 1.0] * 10), 'do not split into 3'),
        (torch.tensor([0.0, 0.5, 1.0] * 10), 'do not split into 4'),
        (torch.tensor([0.0, float('nan'), 1.0]), 'no histogram'),
        (torch.tensor([0.0, float('inf'), 1.0]), 'no histogram'),
    ],
)
def test_what_has_no_threshold_is_told(values, words):
    with pytest.raises(ValueError, match=words):
        motion_threshold(values)


def test_as_many_values_as_classes_are_split_between_them():
    values = torch.tensor([0.0, 0.2, 0.7, 1.0])
    thresholds = multi_otsu(histogram(values), 4)
    assert [(values > t).sum().item() for t in thresholds] == [3, 2, 1]

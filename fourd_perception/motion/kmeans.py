"""k-means, deterministic, on the device of the data."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
import torch

CHUNK = 65536  # rows whose distances to all centres are held at once


@dataclass(frozen=True, eq=False)
class Clusters:
    """centres [k, C] and the label [N] (int64) of every row."""

    centres: torch.Tensor
    labels: torch.Tensor


def kmeans(
    rows: torch.Tensor,
    count: int,
    seed: int = 42,
    iterations: int = 300,
    tolerance: float = 1e-4,
    start: torch.Tensor | None = None,
) -> Clusters:
    """Lloyd's algorithm on rows [N, C] from greedy k-means++ seeds, or from centres `start`.

    count: clusters; fewer when there are fewer rows
    tolerance: stop when the centres move less than this times the mean variance of the columns

    Same rows, seed and device give the same labels. An empty cluster takes the farthest row.
    """
    if len(rows) == 0:
        raise ValueError('k-means of no rows; give at least one')
    rows = rows.float()
    count = min(count, len(rows))
    mean = rows.mean(0)
    rows = rows - mean  # distances lose less when the data is centred
    squares = rows.square().sum(1)
    centres = _seeds(rows, squares, count, seed) if start is None else start[:count] - mean
    limit = tolerance * rows.var(0, unbiased=False).mean()
    labels = torch.full((len(rows),), -1, device=rows.device)
    for _ in range(iterations):
        before, (labels, distance) = labels, _assign(rows, squares, centres)
        moved = _means(rows, labels, distance, count)
        shift = (moved - centres).square().sum()
        centres = moved
        if torch.equal(before, labels) or shift <= limit:
            break
    return Clusters(centres + mean, _assign(rows, squares, centres)[0])


def _assign(
    rows: torch.Tensor, squares: torch.Tensor, centres: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest centre of each row, and the squared distance to it."""
    labels, distances = [], []
    for part, square in zip(rows.split(CHUNK), squares.split(CHUNK)):
        squared = square[:, None] - 2 * part @ centres.T + centres.square().sum(1)
        nearest = squared.min(1)
        labels.append(nearest.indices)
        distances.append(nearest.values.clamp(min=0))
    return torch.cat(labels), torch.cat(distances)


def _means(
    rows: torch.Tensor, labels: torch.Tensor, distance: torch.Tensor, count: int
) -> torch.Tensor:
    sizes = torch.bincount(labels, minlength=count)
    empty = (sizes == 0).nonzero()[:, 0]
    if len(empty):
        labels = labels.clone()
        labels[distance.topk(len(empty)).indices] = empty
        sizes = torch.bincount(labels, minlength=count)
    sums = torch.zeros(count, rows.shape[1], device=rows.device).index_add_(0, labels, rows)
    return sums / sizes.clamp(min=1)[:, None]


def _seeds(rows: torch.Tensor, squares: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Greedy k-means++: of several rows drawn by squared distance, keep the one that helps most.

    Drawn from NumPy's legacy generator, in the order in which published masks were made.
    """
    generator = np.random.RandomState(seed)
    trials = 2 + int(math.log(count))

    def distances(chosen: torch.Tensor) -> torch.Tensor:
        centres = rows[chosen]
        squared = squares[:, None] - 2 * rows @ centres.T + squares[chosen]
        return squared.clamp(min=0)

    uniform = np.arange(1, len(rows) + 1) / len(rows)
    first = torch.tensor([np.searchsorted(uniform, generator.random_sample(), side='right')])
    first = first.to(rows.device)
    chosen, nearest = [first], distances(first)[:, 0]
    for _ in range(count - 1):
        cumulative = nearest.double().cumsum(0)
        draws = torch.from_numpy(generator.uniform(size=trials)).to(rows.device)
        picks = torch.searchsorted(cumulative, draws * cumulative[-1]).clamp(max=len(rows) - 1)
        closer = torch.minimum(nearest[:, None], distances(picks))
        best = closer.sum(0).argmin()
        chosen.append(picks[best][None])
        nearest = closer[:, best]
    return rows[torch.cat(chosen)]

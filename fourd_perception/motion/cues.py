"""Motion cues from Gram similarities inside global attention, in linear memory (VGGT4D C.2).

For a band of layers, let q_p be a token's vectors of all its layers and heads in a row, and m_tau
the same of source token tau, averaged over the frames of the window. The averaged similarity is
A[p, tau] = q_p . m_tau / Z, with Z the number of layers times heads. Then

    mean over tau  = q_p . mean(m) / Z              one vector per frame is enough
    std over tau   = std(q_p . m) / Z               one product of tokens by tokens per frame

so that no array of tokens by tokens by layers exists, and of no layer more than its own queries
and keys; of the two layers of `var1` the first waits for the second. Only the products of tokens
by tokens of the two deviations cost time to speak of: three per frame, of the length of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
import math

import torch

NORMALISATION_EPS = 1e-6
CHUNK = 8  # frames whose averaged windows are held at once
PUBLISHED_DEPTH = 24


@dataclass(frozen=True)
class CueBands:
    """Global layers (0-based) that each statistic reads.

    mean1: mean of q.q, middle; mean2: mean of q.q, deep; var1: deviation of q.q, deep;
    shallow: mean of k.k (`mean3`) and deviation of q.k (`var3`)
    """

    mean1: tuple[int, ...]
    mean2: tuple[int, ...]
    var1: tuple[int, ...]
    shallow: int

    @property
    def layers(self) -> frozenset[int]:
        """All layers that are read."""
        return frozenset((*self.mean1, *self.mean2, *self.var1, self.shallow))


def cue_bands(depth: int, paper: bool = False) -> CueBands:
    """The published bands of a network of 24 pairs, carried over to `depth` pairs (C.11).

    Band [a, b] becomes floor(a depth / 24) .. max(that, ceil((b + 1) depth / 24) - 1).
    paper: the deep deviation reads the whole deep band, as written, not two layers as released
    """

    def band(first: int, last: int) -> tuple[int, ...]:
        start = first * depth // PUBLISHED_DEPTH
        end = max(start, math.ceil((last + 1) * depth / PUBLISHED_DEPTH) - 1)
        return tuple(range(start, end + 1))

    deep = band(17, 21)
    return CueBands(band(3, 7), mean2=deep, var1=deep if paper else band(18, 19), shallow=0)


def masked_pairs(depth: int) -> int:
    """Number of pairs in which dynamic tokens are hidden: 5 of 24 (C.4, C.11)."""
    return max(0, round(5 * depth / PUBLISHED_DEPTH) - 1) + 1


@dataclass(frozen=True, eq=False)
class CueMaps:
    """The five statistics [S, h, w], as the network gave them; NaN where a window is empty."""

    mean1: torch.Tensor
    mean2: torch.Tensor
    mean3: torch.Tensor
    var1: torch.Tensor
    var3: torch.Tensor

    def normalised(self) -> CueMaps:
        """Each map scaled to 0..1 in each frame, as published."""
        return CueMaps(*(per_frame_range(getattr(self, f.name)) for f in fields(self)))

    def with_variances(self) -> CueMaps:
        """The deviations squared: variances, as the paper has them."""
        return replace(self, var1=self.var1.square(), var3=self.var3.square())


def per_frame_range(maps: torch.Tensor) -> torch.Tensor:
    """(m - min) / (max - min + 1e-6) of maps [S, h, w], frame by frame."""
    low = maps.amin((-2, -1), keepdim=True)
    high = maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low + NORMALISATION_EPS)


def combine(maps: CueMaps) -> torch.Tensor:
    """The product of the normalised maps [S, h, w], not yet normalised itself."""
    static_deep = (1 - maps.var1) * maps.mean2
    return (1 - maps.mean1) * static_deep * (1 - maps.mean3) * maps.var3


def dynamic_map(maps: CueMaps) -> torch.Tensor:
    """The published saliency of motion [S, h, w] in 0..1 from maps as the network gave them."""
    return per_frame_range(combine(maps.normalised()))


class CueAccumulator:
    """Takes queries and keys of global layers as they run, and leaves the five maps.

    windows: for each of the S frames, the frames that it is compared with
    grid:    rows and columns of patches
    special: tokens in front of the patches of each frame
    dtype:   of the sums and products; float32 by default, float64 for parity

    Call it as `observe` of the trunk. Layers may come in any order that is ascending.
    """

    def __init__(
        self,
        bands: CueBands,
        windows: Sequence[Sequence[int]],
        grid: tuple[int, int],
        special: int = 5,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._bands, self._windows, self._grid = bands, windows, grid
        self._special, self._dtype = special, dtype
        self._sums: dict[str, torch.Tensor] = {}
        self._kept: list[torch.Tensor] = []
        self._weights: torch.Tensor | None = None

    def __call__(self, layer: int, q: torch.Tensor, k: torch.Tensor) -> None:
        """Queries and keys [1, heads, S P, d] of one global layer, normed and rotated.

        Sums are taken in `dtype`, also where the network runs under autocast.
        """
        if layer not in self._bands.layers:
            return
        if q.shape[0] != 1:
            raise ValueError(f'motion cues read one clip at a time, got a batch of {q.shape[0]}')
        with torch.autocast(q.device.type, enabled=False):
            self._take(layer, self._frames(q), k)

    def _take(self, layer: int, queries: torch.Tensor, k: torch.Tensor) -> None:
        bands, heads = self._bands, len(queries)
        means = self._token_means(queries)
        if layer in bands.mean1:
            self._add_mean('mean1', queries, means, heads * len(bands.mean1))
        if layer in bands.mean2:
            self._add_mean('mean2', queries, means, heads * len(bands.mean2))
        if layer == bands.shallow:
            keys = self._frames(k)
            key_means = self._token_means(keys)
            self._add_mean('mean3', keys, key_means, heads)
            reference, source = self._patches(queries), self._patches(keys)
            self._sums['var3'] = self._deviation([reference], [source], heads)
        if layer in bands.var1:
            self._kept.append(self._patches(queries))
            if len(self._kept) == len(bands.var1):
                count = heads * len(bands.var1)
                self._sums['var1'] = self._deviation(self._kept, self._kept, count)
                self._kept = []

    @property
    def held(self) -> int:
        """Bytes held until the next layer comes."""
        tensors = [*self._sums.values(), *self._kept]
        return sum(tensor.nbytes for tensor in tensors)

    def maps(self) -> CueMaps:
        """The five maps [S, h, w]; RuntimeError before all bands have been seen."""
        missing = sorted({f.name for f in fields(CueMaps)} - set(self._sums))
        if missing:
            raise RuntimeError(
                f'no queries and keys came in for {", ".join(missing)}; run the whole trunk'
            )
        return CueMaps(
            **{
                name: values.view(len(self._windows), *self._grid)
                for name, values in self._sums.items()
            }
        )

    def _frames(self, tokens: torch.Tensor) -> torch.Tensor:
        """[1, heads, S P, d] as [heads, S, P, d], without copying what has the right type."""
        return tokens[0].to(self._dtype).unflatten(1, (len(self._windows), -1))

    def _token_means(self, frames: torch.Tensor) -> torch.Tensor:
        """Mean over the patches of each frame [heads, S, d], as a product with a row of 1 / N."""
        heads, count, tokens, _ = frames.shape
        row = frames.new_full((1, 1, tokens), 1 / (tokens - self._special))
        row[..., : self._special] = 0
        means = torch.bmm(row.expand(heads * count, -1, -1), frames.flatten(0, 1))
        return means.view(heads, count, -1)

    def _patches(self, frames: torch.Tensor) -> torch.Tensor:
        """The patches of [heads, S, P, d], heads in a row: a copy [S, N, heads d]."""
        return frames[:, :, self._special :].permute(1, 2, 0, 3).flatten(2)

    def _window_weights(self, like: torch.Tensor) -> torch.Tensor:
        """[S, S]: row t averages over the window of t; NaN where that is empty."""
        if self._weights is None:
            frames = len(self._windows)
            weights = torch.zeros(frames, frames, dtype=self._dtype)
            for frame, window in enumerate(self._windows):
                weights[frame, list(window)] = 1 / len(window) if window else 0.0
                if not window:
                    weights[frame] = math.nan
            self._weights = weights.to(like.device)
        return self._weights

    def _add_mean(self, name: str, frames: torch.Tensor, means: torch.Tensor, count: int) -> None:
        """Add one layer's part of a mean map; `count` is the Z of the whole band."""
        averaged = self._window_weights(frames) @ means / count  # [heads, S, d]
        rows = averaged.flatten(0, 1)[:, None]
        products = torch.bmm(rows, frames.flatten(0, 1).transpose(1, 2))
        part = products.view(*frames.shape[:3]).sum(0)[:, self._special :]
        self._sums[name] = self._sums[name] + part if name in self._sums else part

    def _deviation(
        self, reference: Sequence[torch.Tensor], source: Sequence[torch.Tensor], count: int
    ) -> torch.Tensor:
        """Unbiased standard deviation over source tokens [S, N] of similarities / count.

        Tokens [S, N, C] of one or more layers, whose similarities add up.
        """
        frames, tokens, _ = reference[0].shape
        squares = reference[0].new_empty(frames, tokens)
        similarity = squares.new_empty(tokens, tokens)
        for start in range(0, frames, CHUNK):
            chunk = list(range(start, min(start + CHUNK, frames)))
            averaged = [self._centred_averages(chunk, layer) for layer in source]
            for i, frame in enumerate(chunk):
                torch.mm(reference[0][frame], averaged[0][i].T, out=similarity)
                for q, m in zip(reference[1:], averaged[1:]):
                    similarity.addmm_(q[frame], m[i].T)
                torch.linalg.vector_norm(similarity, dim=1, out=squares[frame])
        return squares / ((tokens - 1) ** 0.5 * count)

    def _centred_averages(self, chunk: list[int], source: torch.Tensor) -> torch.Tensor:
        """[n, N, C]: sources averaged over the windows of some frames, less their mean token."""
        near = sorted({other for frame in chunk for other in self._windows[frame]}) or chunk
        weights = self._window_weights(source)[chunk][:, near]
        averaged = (weights @ _rows(source, near).flatten(1)).view(len(chunk), *source.shape[1:])
        return averaged.sub_(averaged.mean(1, keepdim=True))


def _rows(values: torch.Tensor, index: list[int]) -> torch.Tensor:
    """values[index] for ascending indices, without a copy where they follow on one another."""
    first, last = index[0], index[-1]
    if last - first + 1 == len(index):
        return values[first : last + 1]
    return values[index]

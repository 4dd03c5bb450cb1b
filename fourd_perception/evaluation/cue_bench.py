"""The motion cues against their plain form, at the geometry of VGGT-1B with random tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
import resource
import time

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.motion.cues import (
    cue_bands,
    CueAccumulator,
    CueBands,
    CueMaps,
    dynamic_map,
    PUBLISHED_DEPTH,
)
from fourd_perception.motion.windows import cue_windows
import torch

HEADS, HEAD_DIM, SPECIAL = 16, 64, 5
DEVIATION_PRODUCTS = 3  # of tokens by tokens and frame: one for var3, two for var1


@dataclass(frozen=True)
class CueBench:
    """What one grid and clip length took; seconds are processor time.

    linear, plain: seconds for the whole clip; the plain form is timed on a few frames and scaled
                   by the number of (frame, other frame) pairs; None where it was not run
    product_rate:  floating-point operations per second of one product of tokens by tokens
    linear_rate:   the same of the linear form, counting only its products of tokens by tokens
    kept:          bytes that the cues hold per frame while the trunk goes on to the next layer
    error:         largest difference of the dynamic map from float64, on the frames of `plain`
    peak:          bytes, largest resident size of the process so far
    """

    rows: int
    columns: int
    frames: int
    linear: float
    plain: float | None
    product_rate: float
    linear_rate: float
    kept: float
    error: float | None
    peak: int

    @property
    def gain(self) -> float:
        """How many times faster than the plain form."""
        return float('nan') if self.plain is None else self.plain / self.linear

    @property
    def share(self) -> float:
        """Of the rate of the product, reached by all of the linear form."""
        return self.linear_rate / self.product_rate

    def line(self) -> str:
        """One row of the table under `HEADING`."""
        cells = (
            f'{self.columns}x{self.rows}',
            self.frames,
            f'{self.linear:.2f}',
            '-' if self.plain is None else f'{self.plain:.2f}',
            '-' if self.plain is None else f'{self.gain:.1f}x',
            f'{self.linear_rate / 1e9:.1f} / {self.product_rate / 1e9:.1f}',
            f'{self.share:.0%}',
            f'{self.kept / 1e6:.1f}',
            '-' if self.error is None else f'{self.error:.1e}',
            f'{self.peak / 2**30:.2f}',
        )
        return f'| {" | ".join(map(str, cells))} |'


HEADING = (
    '| grid | frames | cues (s) | plain form (s) | faster | GFLOP/s, cues / product | share '
    '| MB kept per frame | against float64 | peak (GiB) |\n'
    '|---|---|---|---|---|---|---|---|---|---|'
)


def tokens_of_layer(layer: int, which: int, frames: int, patches: int) -> torch.Tensor:
    """Random queries (`which` 0) or keys (1) [1, heads, S P, d] of a layer, always the same."""
    generator = torch.Generator().manual_seed(2 * layer + which)
    shape = (1, HEADS, frames * (patches + SPECIAL), HEAD_DIM)
    return torch.randn(shape, generator=generator)


def linear_form(rows: int, columns: int, frames: int) -> tuple[CueMaps, float, int]:
    """Maps, seconds and bytes held between layers, of the accumulator that the networks use."""
    layout = CellLayout.sequence(frames)
    bands = cue_bands(PUBLISHED_DEPTH)
    cues = CueAccumulator(bands, cue_windows(layout), (rows, columns), SPECIAL)
    seconds, kept = 0.0, 0
    for layer in sorted(bands.layers):
        q = tokens_of_layer(layer, 0, frames, rows * columns)
        # Only the shallow layer's keys are read.
        k = tokens_of_layer(layer, 1, frames, rows * columns) if layer == bands.shallow else q
        start = time.process_time()
        cues(layer, q, k)
        seconds += time.process_time() - start
        kept = max(kept, cues.held)
    return cues.maps(), seconds, kept


def plain_form(
    rows: int,
    columns: int,
    frames: int,
    references: Sequence[int],
    dtype: torch.dtype = torch.float32,
) -> tuple[CueMaps, float]:
    """Maps [n, h, w] of some frames by their definition, and seconds.

    Per band, frame and other frame one product of [L, heads, N, d] by [L, heads, d, N], averaged
    over layers and heads, then over the other frames; then the mean or deviation over the sources.
    """
    bands, patches = cue_bands(PUBLISHED_DEPTH), rows * columns
    windows = cue_windows(CellLayout.sequence(frames))
    results, seconds = {}, 0.0
    for name, layers, (left, right) in _statistics(bands):
        q, k = (
            torch.stack(
                [
                    tokens_of_layer(layer, which, frames, patches)[0]
                    .unflatten(1, (frames, -1))[:, :, SPECIAL:]
                    .to(dtype)
                    for layer in layers
                ]
            )
            for which in (left, right)
        )  # [L, heads, S, N, d]
        start = time.process_time()
        values = []
        for frame in references:
            similarity = torch.zeros(patches, patches, dtype=dtype)
            for other in windows[frame]:
                similarity += (q[:, :, frame] @ k[:, :, other].transpose(-1, -2)).mean((0, 1))
            similarity /= len(windows[frame])
            values.append(similarity.std(1) if name.startswith('var') else similarity.mean(1))
        seconds += time.process_time() - start
        results[name] = torch.stack(values).view(-1, rows, columns)
    return CueMaps(**results), seconds


def _statistics(bands: CueBands) -> Iterator[tuple[str, Sequence[int], tuple[int, int]]]:
    """Name, layers, and whether queries (0) or keys (1) stand left and right."""
    yield 'mean1', bands.mean1, (0, 0)
    yield 'mean2', bands.mean2, (0, 0)
    yield 'var1', bands.var1, (0, 0)
    yield 'mean3', (bands.shallow,), (1, 1)
    yield 'var3', (bands.shallow,), (0, 1)


def measure(rows: int, columns: int, frames: int, plain_frames: int = 3) -> CueBench:
    """Time both forms in one run; `plain_frames` 0 leaves the plain one out."""
    patches = rows * columns
    rate = product_rate(patches)
    maps, seconds, kept = linear_form(rows, columns, frames)
    again = linear_form(rows, columns, frames)[1] if plain_frames else seconds
    rate = (rate + product_rate(patches)) / 2
    seconds = min(seconds, again)
    plain, error = None, None
    if plain_frames:
        references = torch.linspace(0, frames - 1, plain_frames).round().int().tolist()
        windows = cue_windows(CellLayout.sequence(frames))
        pairs = sum(map(len, windows)) / sum(len(windows[frame]) for frame in references)
        plain = plain_form(rows, columns, frames, references)[1] * pairs
        exact = plain_form(rows, columns, frames, references, torch.float64)[0]
        chosen = CueMaps(**{f.name: getattr(maps, f.name)[references] for f in fields(CueMaps)})
        error = float((dynamic_map(chosen) - dynamic_map(exact)).abs().max())
    operations = DEVIATION_PRODUCTS * frames * 2 * patches**2 * HEADS * HEAD_DIM
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return CueBench(
        rows=rows,
        columns=columns,
        frames=frames,
        linear=seconds,
        plain=plain,
        product_rate=rate,
        linear_rate=operations / seconds,
        kept=kept / frames,
        error=error,
        peak=peak,
    )


def product_rate(patches: int) -> float:
    """Operations per second of the product of tokens by tokens at this size."""
    left, right = (torch.randn(patches, HEADS * HEAD_DIM) for _ in range(2))
    out = left @ right.T
    count, start = 0, time.process_time()
    while (seconds := time.process_time() - start) < 0.4:
        torch.mm(left, right.T, out=out)
        count += 1
    return 2 * patches**2 * HEADS * HEAD_DIM * count / seconds

"""The motion cues by their definition, token by token; slow and plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourd_perception.motion.cues import CueBands
import numpy as np

Tokens = Mapping[int, np.ndarray]  # by layer: [S, heads, N, d]


def plain_cues(
    q: Tokens, k: Tokens, bands: CueBands, windows: Sequence[Sequence[int]]
) -> dict[str, np.ndarray]:
    """The five maps float64 [S, N]; NaN where a window is empty.

    Every similarity of two tokens is averaged over layers, heads and window, one after the other;
    then mean or deviation over the source tokens.
    """
    shallow = (bands.shallow,)
    return {
        'mean1': _statistic(q, q, bands.mean1, windows, np.mean),
        'mean2': _statistic(q, q, bands.mean2, windows, np.mean),
        'var1': _statistic(q, q, bands.var1, windows, _deviation),
        'mean3': _statistic(k, k, shallow, windows, np.mean),
        'var3': _statistic(q, k, shallow, windows, _deviation),
    }


def _statistic(left, right, layers, windows, of_row):
    frames, heads, tokens, _ = left[layers[0]].shape
    out = np.full((frames, tokens), np.nan)
    for t, window in enumerate(windows):
        for p in range(tokens if window else 0):
            row = np.zeros(tokens)
            for tau in range(tokens):
                for s in window:
                    for layer in layers:
                        for head in range(heads):
                            a, b = left[layer][t, head, p], right[layer][s, head, tau]
                            row[tau] += a.astype(float) @ b.astype(float)
            out[t, p] = of_row(row / (len(window) * len(layers) * heads))
    return out


def _deviation(row):
    return np.sqrt(((row - row.mean()) ** 2).sum() / (len(row) - 1))

"""Procedural textures over metres of surface, with detail at every scale and no aliasing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

Colour = tuple[float, float, float]
PATTERNS = ('plain', 'checks', 'stripes', 'bricks', 'windows', 'dots')
_TILE = 512
# Two layers of the same noise tile, metres per tile: texels of 6 mm and 0.7 mm.
_LAYERS = ((3.1, 0.65), (0.37, 0.55))


@dataclass(frozen=True)
class Texture:
    """Two colours in a pattern, under 1/f noise.

    pattern: one of `PATTERNS`
    colours: two RGB triples in 0..1 (ground colour, figure colour)
    period:  metres of one repeat of the pattern
    noise:   relative strength of the noise
    offset:  metres, where in the noise the surface starts, so that equal materials differ
    """

    pattern: str
    colours: tuple[Colour, Colour]
    period: float = 0.5
    noise: float = 0.3
    offset: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise ValueError(f'pattern {self.pattern!r} is unknown; take one of {PATTERNS}')

    def colour(self, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """RGB [3, N] (float32, about 0..1) at texture coordinates [2, N].

        footprint [N]: metres on the surface that one sample stands for; finer detail is faded
        out, so that distant surfaces neither flicker nor sparkle.
        """
        uv, footprint = uv.astype(np.float32), footprint.astype(np.float32)
        figure = self._figure(uv, footprint)
        ground, other = np.array(self.colours, np.float32)[:, :, None]
        shifted = uv + np.array(self.offset, np.float32)[:, None]
        grain = sum(w * noise(shifted / s, footprint / s) for s, w in _LAYERS)
        return (ground + figure * (other - ground)) * (1.0 + self.noise * grain)

    def _figure(self, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """How much of the figure colour, 0..1."""
        u, v, blur = uv[0] / self.period, uv[1] / self.period, footprint / self.period
        if self.pattern == 'plain':
            return np.zeros_like(u)
        if self.pattern == 'stripes':
            return _bar(u, 0.5, blur)
        if self.pattern == 'checks':
            a, b = 2 * _bar(u, 0.5, blur) - 1, 2 * _bar(v, 0.5, blur) - 1
            return 0.5 + 0.5 * a * b
        if self.pattern == 'bricks':
            row = np.floor(2 * v)
            return _bar(u + 0.5 * (row % 2), 0.94, blur) * _bar(2 * v, 0.88, 2 * blur)
        if self.pattern == 'windows':
            lit = 0.55 + 0.45 * noise(np.floor(np.stack([u, v])) * 0.37, np.zeros_like(u))
            return _bar(u, 0.5, blur) * _bar(v, 0.62, blur) * np.clip(lit, 0.0, 1.0)
        radius = np.hypot(u - np.floor(u) - 0.5, v - np.floor(v) - 0.5)
        return _edge(0.3 - radius, blur, 0.28)


def _bar(x: np.ndarray, width: float, blur: np.ndarray) -> np.ndarray:
    """1 in the middle `width` of every unit interval, box-filtered over `blur`."""
    return _edge(0.5 * width - np.abs(x - np.floor(x) - 0.5), blur, width)


def _edge(inside: np.ndarray, blur: np.ndarray, mean: float) -> np.ndarray:
    """Soft step of a signed distance, fading to the pattern's mean where it is too fine."""
    soft = np.clip(inside / np.maximum(blur, 1e-6) + 0.5, 0.0, 1.0)
    fade = np.clip(2.0 - 2.0 * blur, 0.0, 1.0)
    return mean + (soft - mean) * fade


def noise(uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Tileable 1/f noise [N] in about -1..1 at coordinates [2, N] in tiles.

    footprint [N]: tiles that one sample stands for, which chooses the level of the pyramid.
    """
    texels, start = _pyramid()
    level = np.ceil(np.log2(np.maximum(footprint * _TILE, 1.0))).astype(np.int32)
    level = np.minimum(level, len(start) - 1)
    size = _TILE >> level
    x, y = uv * size - 0.5
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    mask = size - 1
    left, top = x0.astype(np.int32) & mask, y0.astype(np.int32) & mask
    right, row = (left + 1) & mask, start[level] + top * size
    below = start[level] + ((top + 1) & mask) * size
    upper = texels[row + left] * (1 - fx) + texels[row + right] * fx
    lower = texels[below + left] * (1 - fx) + texels[below + right] * fx
    return upper * (1 - fy) + lower * fy


@cache
def _pyramid() -> tuple[np.ndarray, np.ndarray]:
    """The noise tile and its halved copies, flat, and where each level starts."""
    spectrum = np.fft.rfft2(np.random.default_rng(0).standard_normal((_TILE, _TILE)))
    fx, fy = np.fft.rfftfreq(_TILE), np.fft.fftfreq(_TILE)
    radius = np.hypot(fx[None], fy[:, None])
    radius[0, 0] = np.inf
    tile = np.fft.irfft2(spectrum / radius**1.1, (_TILE, _TILE))
    levels = [np.clip(tile / (2.2 * tile.std()), -1.0, 1.0).astype(np.float32)]
    while len(levels[-1]) > 1:
        n = len(levels[-1]) // 2
        levels.append(levels[-1].reshape(n, 2, n, 2).mean(axis=(1, 3)))
    start = np.cumsum([0] + [level.size for level in levels[:-1]])
    return np.concatenate([level.ravel() for level in levels]), start.astype(np.int32)

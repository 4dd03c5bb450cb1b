"""A stock of small texture tiles for image pairs: noise, leaves, cells, checks, ramps, plain."""

from __future__ import annotations

from fourd_perception.synthetic.textures import PATTERNS, Texture
import numpy as np
import torch

TILE = 128
# One texel is a hundredth of the unit that `Texture` takes for a metre.
TEXEL = 0.01


def texture_tiles(count: int, seed: int) -> torch.Tensor:
    """Tiles [count, 3, 128, 128], RGB in 0..1, all kinds in turn; the same for one seed."""
    rng = np.random.default_rng(seed)
    kinds = (_surface, _leaves, _surface, _cells, _noise, _ramp, _noise, _leaves, _plain)
    tiles = [_contrast(_soften(kinds[i % len(kinds)](rng)), rng) for i in range(count)]
    return torch.from_numpy(np.stack(tiles).astype(np.float32))


def _surface(rng: np.random.Generator) -> np.ndarray:
    """One of the patterns of the scenes, turned, under 1/f noise."""
    texture = Texture(
        pattern=str(rng.choice(PATTERNS)),
        colours=(tuple(rng.random(3)), tuple(rng.random(3))),
        period=float(np.exp(rng.uniform(np.log(0.08), np.log(0.6)))),
        noise=float(rng.uniform(0.0, 0.5)),
        offset=tuple(rng.uniform(0, 3, 2)),
    )
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    uv = turn @ _grid().reshape(2, -1) * TEXEL
    colour = texture.colour(uv, np.full(uv.shape[1], TEXEL))
    return np.clip(colour, 0, 1).reshape(3, TILE, TILE)


def _leaves(rng: np.random.Generator) -> np.ndarray:
    """Dead leaves: discs of all sizes, one over another."""
    x, y = _grid()
    tile = np.ones((3, TILE, TILE)) * rng.random((3, 1, 1))
    for _ in range(250):
        radius = np.exp(rng.uniform(np.log(2.5), np.log(30)))
        cx, cy = rng.uniform(0, TILE, 2)
        tile[:, (x - cx) ** 2 + (y - cy) ** 2 < radius**2] = rng.random((3, 1))
    return tile


def _cells(rng: np.random.Generator) -> np.ndarray:
    """Voronoi cells of one colour each."""
    x, y = _grid()
    count = int(rng.integers(10, 150))
    centres = rng.uniform(0, TILE, (2, count))
    distance = (x[..., None] - centres[0]) ** 2 + (y[..., None] - centres[1]) ** 2
    return rng.random((3, count))[:, distance.argmin(-1)]


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Coloured noise, its spectrum falling with a random power of frequency."""
    f = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None])
    f[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((3, TILE, TILE))) / f ** rng.uniform(0.5, 1.5)
    noise = np.fft.irfft2(spectrum, (TILE, TILE))
    noise /= noise.std(axis=(1, 2), keepdims=True)
    mixed = np.einsum('ij,jyx->iyx', np.eye(3) * 0.3 + rng.uniform(0, 0.5, (3, 3)), noise)
    return np.clip(0.5 + 0.2 * mixed, 0, 1)


def _ramp(rng: np.random.Generator) -> np.ndarray:
    """A smooth change from one colour to another, faint grain or none at all."""
    x, y = _grid() / TILE
    angle = rng.uniform(0, 2 * np.pi)
    share = 0.5 + (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) * rng.uniform(0, 1.2)
    one, other = rng.random((2, 3, 1, 1))
    grain = rng.choice([0.0, 0.03]) * rng.standard_normal((TILE, TILE))
    return np.clip(one + (other - one) * share + grain, 0, 1)


def _plain(rng: np.random.Generator) -> np.ndarray:
    """One colour: only the outline of a layer tells of its motion."""
    return np.ones((3, TILE, TILE)) * rng.random((3, 1, 1))


def _soften(tile: np.ndarray) -> np.ndarray:
    """Take away what a bilinear sample between texels would lose: the 1-2-1 filter, both ways."""
    for axis in (1, 2):
        tile = 0.5 * tile + 0.25 * (np.roll(tile, 1, axis) + np.roll(tile, -1, axis))
    return tile


def _contrast(tile: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast between faint and full, around the tile's own mean."""
    mean = tile.mean(axis=(1, 2), keepdims=True)
    return np.clip(mean + (tile - mean) * rng.uniform(0.25, 1.0), 0, 1)


def _grid() -> np.ndarray:
    return np.mgrid[:TILE, :TILE][::-1].astype(float)

"""Pictures for surfaces, in families; every tile meets itself without a seam."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

TILE = 128
PER_FAMILY = 32


def tiles(seed: int) -> np.ndarray:
    """All tiles of all families [count, 3, 128, 128], float32 RGB in 0..1, `PER_FAMILY` each."""
    out = []
    for number, family in enumerate(FAMILIES.values()):
        for k in range(PER_FAMILY):
            out.append(_finished(family(np.random.default_rng([seed, number, k]))))
    return np.stack(out).astype(np.float32)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Noise of three mixed channels, its spectrum falling with a power of frequency."""
    field = np.stack([spectral(rng, rng.uniform(0.6, 1.8)) for _ in range(3)])
    mixed = np.einsum('ij,jyx->iyx', np.eye(3) * 0.3 + rng.uniform(0, 0.5, (3, 3)), field)
    return 0.5 + 0.2 * mixed


def _leaves(rng: np.random.Generator) -> np.ndarray:
    """Dead leaves: ellipses, boxes or discs of all sizes, one over another."""
    tile = np.empty((TILE, TILE, 3), np.float32)
    tile[:] = rng.random(3)
    boxy = rng.random() < 0.4
    least = rng.uniform(2, 8)
    for _ in range(int(rng.integers(100, 250))):
        half = np.exp(rng.uniform(np.log(least), np.log(34), 2))
        box = (rng.uniform(0, TILE, 2), half * (1.6 if boxy else 2.0), rng.uniform(0, 180))
        colour = rng.random(3).tolist()
        for shift in _wraps(np.array(box[0]), float(half.max() * 1.5)):
            moved = (tuple(box[0] + shift), tuple(box[1]), box[2])
            if boxy:
                corners = np.round(cv2.boxPoints(moved) * 16).astype(np.int32)
                cv2.fillConvexPoly(tile, corners, colour, cv2.LINE_8, 4)
            else:
                cv2.ellipse(tile, moved, colour, -1, cv2.LINE_8)
    return tile.transpose(2, 0, 1)


def _cells(rng: np.random.Generator) -> np.ndarray:
    """Voronoi cells of one colour each, some with joints between them."""
    count = int(np.exp(rng.uniform(np.log(8), np.log(120))))
    x, y = _grid().astype(np.float32)
    nearest = np.full((TILE, TILE), np.inf, np.float32)
    second, owner = nearest.copy(), np.zeros((TILE, TILE), int)
    for number, (px, py) in enumerate(rng.uniform(0, TILE, (count, 2)).astype(np.float32)):
        dx, dy = _around(x[:1] - px), _around(y[:, :1] - py)
        distance = dx * dx + dy * dy
        second = np.minimum(second, np.maximum(nearest, distance))
        owner[distance < nearest] = number
        nearest = np.minimum(nearest, distance)
    tile = rng.random((count, 3))[owner].transpose(2, 0, 1)
    if rng.random() < 0.5:
        joint = np.sqrt(second) - np.sqrt(nearest) < rng.uniform(1.5, 4.0)
        tile = np.where(joint, rng.random((3, 1, 1)), tile)
    return tile


def _checks(rng: np.random.Generator) -> np.ndarray:
    """Checks of two or more colours."""
    across, down = (2 * int(rng.integers(1, 9)) for _ in range(2))
    x, y = _grid()
    column, row = (x * across / TILE).astype(int), (y * down / TILE).astype(int)
    two = rng.random((2, 3))
    many = rng.random((down, across, 3))
    share = rng.choice([0.0, 0.0, 0.3, 1.0])
    return ((1 - share) * two[(column + row) % 2] + share * many[row, column]).transpose(2, 0, 1)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    """Stripes of uneven widths, some wavy, some crossed."""
    x, y = _grid()
    wave = rng.choice([0.0, 0.0, 1.0]) * rng.uniform(2, 10)
    wave = wave * np.sin(2 * np.pi * (y / TILE * rng.integers(1, 4) + rng.random()))
    tile = _bands(rng, x + wave)
    if rng.random() < 0.4:
        tile = 0.5 * (tile + _bands(rng, y))
    return tile


def _ramps(rng: np.random.Generator) -> np.ndarray:
    """Slow changes of colour, with a faint grain or none."""
    x, y = _grid() * (2 * np.pi / TILE)
    out = []
    for _ in range(3):
        kx, ky = rng.integers(0, 2, 2)
        a, b = rng.uniform(0, 2 * np.pi, 2)
        out.append(0.5 + rng.uniform(0.1, 0.3) * (np.sin(kx * x + a) + np.sin(ky * y + b)))
    return np.stack(out) + rng.choice([0.0, 0.02]) * spectral(rng, 0.3)


def _glyphs(rng: np.random.Generator) -> np.ndarray:
    """Lines of writing: letters of a few straight and round strokes each."""
    tile = np.empty((TILE, TILE, 3), np.float32)
    tile[:] = rng.random(3)
    plain = float(tile[0, 0].mean() < 0.5)
    inks = rng.random((3, 3)) if rng.random() < 0.5 else np.full((3, 3), plain)
    rows = int(rng.integers(3, 12))
    height = TILE / rows
    width = height * rng.uniform(0.5, 0.9)
    thick = max(1, round(height * rng.uniform(0.06, 0.2)))
    for row in range(rows):
        for x in np.arange(0, TILE - 0.6 * width, width):
            if rng.random() < 0.15:
                continue
            ink = inks[rng.integers(0, 3)].tolist()
            corner = np.array([x + 0.15 * width, (row + 0.2) * height])
            _letter(tile, rng, corner, np.array([0.7 * width, 0.65 * height]), ink, thick)
    return tile.transpose(2, 0, 1)


def _letter(
    tile: np.ndarray,
    rng: np.random.Generator,
    corner: np.ndarray,
    size: np.ndarray,
    ink: list[float],
    thick: int,
) -> None:
    """Two to four strokes between the nodes of a 3 x 3 grid, or round ones, drawn into a tile."""

    def pixel(place: np.ndarray) -> tuple[int, int]:
        x, y = np.round(place).astype(int).tolist()
        return x, y

    for _ in range(int(rng.integers(2, 5))):
        nodes = 0.5 * rng.integers(0, 3, (2, 2))
        start, end = (corner + n * size for n in nodes)
        if rng.random() < 0.65:
            cv2.line(tile, pixel(start), pixel(end), ink, thick)
        else:
            axes = pixel(0.5 * size * rng.choice([1.0, 0.5], 2))
            first = float(90 * rng.integers(0, 4))
            centre = pixel(corner + 0.5 * size)
            cv2.ellipse(tile, centre, axes, 0, first, first + 180, ink, thick)


def _panes(rng: np.random.Generator) -> np.ndarray:
    """Windows, bricks and tiles: rows of rectangles with frames, each of its own shade."""
    across, down = int(rng.integers(2, 9)), 2 * int(rng.integers(1, 8))
    x, y = _grid()
    row = (y * down / TILE).astype(int)
    shifted = x * across / TILE + rng.choice([0.0, 0.5]) * (row % 2)
    column = shifted.astype(int) % across
    u, v = shifted % 1.0, (y * down / TILE) % 1.0
    margin_u, margin_v = rng.uniform(0.03, 0.3, 2)
    inside = (np.abs(u - 0.5) < 0.5 - margin_u) & (np.abs(v - 0.5) < 0.5 - margin_v)
    wall, pane = rng.random((2, 3))
    shade = 1 + rng.uniform(0, 0.5) * (rng.random((down, across, 1)) - 0.5) * 2
    return np.where(inside[..., None], pane * shade[row, column], wall).transpose(2, 0, 1)


def _truchet(rng: np.random.Generator) -> np.ndarray:
    """A maze of quarter circles, each square turned by chance."""
    across = int(rng.integers(3, 9))
    x, y = _grid()
    column, row = (x * across / TILE).astype(int), (y * across / TILE).astype(int)
    u, v = (x * across / TILE) % 1.0, (y * across / TILE) % 1.0
    turned = rng.random((across, across)) < 0.5
    u = np.where(turned[row, column], 1 - u, u)
    nearer = np.minimum(np.hypot(u, v), np.hypot(1 - u, 1 - v))
    line = np.abs(nearer - 0.5) < rng.uniform(0.08, 0.25)
    one, other = rng.random((2, 3))
    return np.where(line[..., None], one, other).transpose(2, 0, 1)


def _wood(rng: np.random.Generator) -> np.ndarray:
    """Planks with warped rings."""
    x, y = _grid()
    planks = int(rng.integers(1, 6))
    number = (y * planks / TILE).astype(int)
    warp = spectral(rng, 1.6) * rng.uniform(0.3, 1.0)
    rings = rng.uniform(0.5, 2.0) * warp + y / TILE * rng.integers(2, 12) + 3.7 * number
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * rings)
    one, other = rng.random((2, 3))
    shade = 0.8 + 0.4 * rng.random(planks)[number]
    return ((one + grain[..., None] * (other - one)) * shade[..., None]).transpose(2, 0, 1)


FAMILIES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'noise': _noise,
    'leaves': _leaves,
    'cells': _cells,
    'checks': _checks,
    'stripes': _stripes,
    'ramps': _ramps,
    'glyphs': _glyphs,
    'panes': _panes,
    'truchet': _truchet,
    'wood': _wood,
}
HELD_OUT = 'truchet', 'wood'


def spectral(rng: np.random.Generator, power: float) -> np.ndarray:
    """Gaussian noise of unit variance [128, 128] whose spectrum falls as frequency^-power."""
    f = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None])
    f[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) / f**power, (TILE, TILE))
    return noise / noise.std()


def _bands(rng: np.random.Generator, along: np.ndarray) -> np.ndarray:
    edges = np.sort(rng.uniform(0, TILE, int(rng.integers(1, 12)) * 2))
    colours = rng.random((int(rng.integers(2, 5)), 3))
    band = np.searchsorted(edges, along % TILE) % len(edges)
    return colours[band % len(colours)].transpose(2, 0, 1)


def _finished(tile: np.ndarray) -> np.ndarray:
    """Without what a bilinear sample between texels would lose: the 1-2-1 filter, both ways."""
    for axis in (1, 2):
        tile = 0.5 * tile + 0.25 * (np.roll(tile, 1, axis) + np.roll(tile, -1, axis))
    return np.clip(tile, 0, 1)


def _wraps(place: np.ndarray, reach: float) -> list[np.ndarray]:
    """Shifts by whole tiles after which a shape at a place still touches the tile."""
    shifts = [np.array([dx, dy]) * TILE for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    return [s for s in shifts if ((place + s > -reach) & (place + s < TILE + reach)).all()]


def _around(distance: np.ndarray) -> np.ndarray:
    """Distances on a circle of one tile."""
    return (distance + 0.5 * TILE) % TILE - 0.5 * TILE


def _grid() -> np.ndarray:
    """The x and y of the texels' centres [2, 128, 128]."""
    return np.mgrid[:TILE, :TILE][::-1] + 0.5

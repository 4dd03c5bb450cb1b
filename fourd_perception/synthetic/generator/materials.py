"""What surfaces look like: a tile in colours of their own, a grain over it, and gloss."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.tiles import FAMILIES, HELD_OUT, PER_FAMILY, TILE
import numpy as np

# Numbers of materials: what they are for, and who may wear them.
GROUND, WALLS, CEILING, PAVEMENT, MARKING = range(5)
FRONTS = range(8, 16)
ANY = range(16, 64)
_NAMES = tuple(FAMILIES)
_SHARES = {
    'noise': 2.0,
    'leaves': 1.5,
    'cells': 1.0,
    'checks': 1.0,
    'stripes': 1.0,
    'ramps': 1.0,
    'glyphs': 0.8,
    'panes': 1.0,
}
# Share of surfaces without any texture.
_PLAIN = 0.15


@dataclass(frozen=True, eq=False)
class Materials:
    """M materials in each of B clips, float64.

    tile, grain_tile: [B, M] numbers in the stock
    span, grain_span: [B, M] metres of one tile
    turn:    [B, M] radians
    shift:   [B, M, 2] of the tile, in tiles
    mix, base: [B, M, 3, 3], [B, M, 3]: colour = mix @ (tile's colour - 0.5) + base
    grain:   [B, M] strength of the grain
    gloss, sharpness: [B, M] strength and exponent of the highlight
    """

    tile: np.ndarray
    grain_tile: np.ndarray
    span: np.ndarray
    grain_span: np.ndarray
    turn: np.ndarray
    shift: np.ndarray
    mix: np.ndarray
    base: np.ndarray
    grain: np.ndarray
    gloss: np.ndarray
    sharpness: np.ndarray

    def rows(self) -> np.ndarray:
        """All of it [B, M, 22], in the order that `shading` reads it."""
        per = TILE / self.span
        columns = [self.tile, per * np.cos(self.turn), per * np.sin(self.turn)]
        columns += [TILE * self.shift[..., 0], TILE * self.shift[..., 1]]
        columns += [self.grain_tile, TILE / self.grain_span]
        columns += [self.grain, self.gloss, self.sharpness]
        columns += [self.base[..., i] for i in range(3)]
        columns += [self.mix[..., i, j] for i in range(3) for j in range(3)]
        return np.stack(columns, -1)


def draw_materials(draws: Draws, scale: np.ndarray, held_out: bool) -> Materials:
    """Materials for scenes whose things are usually seen from `scale` [B] metres."""
    count = ANY.stop
    shape = (count,)
    tile = _tiles(draws, count, held_out)
    plain = draws.chance('plain', _PLAIN, shape)
    plain[:, FRONTS.start : FRONTS.stop] = False
    contrast = draws.uniform('contrast', 0.35, 1.4, shape) * ~plain
    mix = 0.6 * np.eye(3) + draws.uniform('mix', -0.45, 0.45, (count, 3, 3))
    # Half of them are of one hue, light and dark.
    grey = draws.chance('one hue', 0.5, shape)[..., None, None]
    mix = np.where(
        grey, mix.mean(-2, keepdims=True) * draws.uniform('hues', 0.5, 1.2, (count, 3, 1)), mix
    )
    grain = draws.uniform('grain', 0.0, 0.6, shape) * ~draws.chance('smooth', 0.35, shape)
    return Materials(
        tile=tile,
        grain_tile=draws.index('grain tile', PER_FAMILY, shape),
        span=draws.log_uniform('span', 0.1, 1.2, shape) * scale[:, None],
        grain_span=draws.log_uniform('grain span', 0.05, 1.5, shape) * scale[:, None],
        turn=draws.uniform('turn', 0, 2 * np.pi, shape) * _turned(draws, count),
        shift=draws.uniform('shift', shape=(count, 2)),
        mix=mix * contrast[..., None, None],
        base=_colours(draws, count),
        grain=grain,
        gloss=draws.uniform('gloss', 0.1, 0.9, shape) * draws.chance('glossy', 0.3, shape),
        sharpness=draws.log_uniform('sharpness', 5, 100, shape),
    )


def _tiles(draws: Draws, count: int, held_out: bool) -> np.ndarray:
    """Numbers of tiles [B, count]: of training's families, or of those kept out of it."""
    shares = dict.fromkeys(HELD_OUT, 1.0) if held_out else _SHARES
    family = draws.choice('family', [shares.get(name, 0.0) for name in _NAMES], (count,))
    if not held_out:
        family[:, FRONTS.start : FRONTS.stop] = _NAMES.index('panes')
    return family * PER_FAMILY + draws.index('tile', PER_FAMILY, (count,))


def _turned(draws: Draws, count: int) -> np.ndarray:
    """Whose pattern is turned, [B, count]; fronts of houses stand upright."""
    turned = draws.chance('turned', 0.4, (count,))
    turned[:, FRONTS.start : FRONTS.stop] = False
    return turned


def _colours(draws: Draws, count: int) -> np.ndarray:
    """Colours [B, count, 3]: most of them muted, as most things are."""
    hue = draws.uniform('hue', shape=(count,))
    vivid = draws.chance('vivid', 0.25, (count,))
    strength = draws.uniform('saturation', shape=(count,))
    saturation = np.where(vivid, 0.5 + 0.5 * strength, 0.45 * strength)
    return hsv(hue, saturation, draws.uniform('value', 0.12, 0.92, (count,)))


def hsv(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """RGB [..., 3] of colours given by hue, saturation and value in 0..1."""
    sector = (hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    ramp = np.clip(np.abs(sector - 3) - 1, 0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - ramp))

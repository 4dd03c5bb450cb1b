"""What surfaces look like: a tile in colours of their own, a grain over it, and gloss."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.stock import TILE
import numpy as np

TILES = 256


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


def draw_materials(draws: Draws, count: int, scale: np.ndarray) -> Materials:
    """Materials for scenes whose things are usually seen from `scale` [B] metres."""
    shape = (count,)
    plain = draws.chance('plain', 0.15, shape)
    contrast = draws.uniform('contrast', 0.3, 1.1, shape) * ~plain
    mix = np.eye(3) * 0.6 + draws.uniform('mix', -0.45, 0.45, (count, 3, 3))
    grain = draws.uniform('grain', 0.0, 0.5, shape) * ~draws.chance('smooth', 0.4, shape)
    return Materials(
        tile=draws.index('tile', TILES, shape),
        grain_tile=draws.index('grain tile', TILES, shape),
        span=draws.log_uniform('span', 0.12, 1.5, shape) * scale[:, None],
        grain_span=draws.log_uniform('grain span', 0.05, 2.0, shape) * scale[:, None],
        turn=draws.uniform('turn', 0, 2 * np.pi, shape) * draws.chance('turned', 0.5, shape),
        shift=draws.uniform('shift', shape=(count, 2)),
        mix=mix * contrast[..., None, None],
        base=draws.uniform('base', 0.15, 0.85, (count, 3)),
        grain=grain,
        gloss=draws.uniform('gloss', 0.0, 0.6, shape) * draws.chance('glossy', 0.25, shape),
        sharpness=draws.log_uniform('sharpness', 5, 80, shape),
    )

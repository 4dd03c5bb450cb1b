"""Rooms, streets and open ground: what stands there, and where a rig may be.

The first body of every place is its ground, whose upper side may reflect.
"""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.synthetic.generator.bodies import ABSENT, Bodies, BOX, ELLIPSOID
from fourd_perception.synthetic.generator.clutter import clutter, THINGS
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.kits import NAMES, put
from fourd_perception.synthetic.generator.materials import (
    ANY,
    CEILING,
    FRONTS,
    GROUND,
    MARKING,
    PAVEMENT,
    WALLS,
)
from fourd_perception.synthetic.generator.scene import Surroundings
from fourd_perception.synthetic.generator.things import bodies, vector
import numpy as np

_INDOORS = {
    'box': 4.0, 'ball': 1.5, 'drum': 1.5, 'table': 2.0, 'chair': 2.0, 'shelf': 1.5, 'sofa': 1.0,
    'lamp': 1.0, 'plant': 1.0, 'pole': 0.7, 'heap': 1.0, 'figure': 0.5, 'gate': 0.3,
}  # fmt: skip
_OUTDOORS = {
    'box': 3.0, 'ball': 2.0, 'drum': 2.0, 'tree': 2.0, 'fir': 1.0, 'car': 1.0, 'van': 0.5,
    'pole': 1.0, 'sign': 0.7, 'fence': 0.7, 'gate': 0.7, 'heap': 1.0, 'figure': 1.0,
    'lantern': 0.5,
}  # fmt: skip
_PAVEMENTS = {
    'box': 0.7, 'tree': 2.0, 'fir': 0.5, 'lantern': 1.0, 'sign': 1.0, 'figure': 1.5, 'pole': 1.2,
    'plant': 0.6, 'fence': 0.7, 'drum': 0.5,
}  # fmt: skip
_PICTURES, _HILLS, _HOUSES, _PARKED = 8, 4, 18, 10
# Instances: things from 1 on, then what belongs to the place itself.
_FIRST_OTHER = 1 + THINGS


def room(draws: Draws, held_out: bool) -> Surroundings:
    """A room, a hall or a corridor: walls with pictures and doors, things on the floor."""
    n = len(draws)
    corridor, hall = draws.chance('corridor', 0.2), draws.chance('hall', 0.2)
    long = np.where(corridor, draws.uniform('length', 5, 14), draws.uniform('depth', 1.6, 4.5))
    wide = np.where(corridor, draws.uniform('narrow', 0.8, 1.5), draws.uniform('width', 1.5, 4.5))
    grow = np.where(hall & ~corridor, draws.uniform('hall size', 1.5, 3.0), 1.0)
    hx, hy, top = grow * long, grow * wide, draws.uniform('height', 2.2, 3.4) * grow**0.7
    zero = np.zeros(n)
    slab = vector(hx + 1, hy + 1, 0.5)
    shell = bodies(
        n,
        3,
        BOX,
        np.stack([slab, vector(hx, hy, 0.5 * top + 0.5), slab], 1),
        np.stack(
            [
                vector(zero, zero, -0.5),
                vector(zero, zero, 0.5 * top),
                vector(zero, zero, top + 0.5),
            ],
            1,
        ),
        surface=np.array([GROUND, WALLS, CEILING]),
    )
    low = vector(-0.92 * hx, -0.92 * hy, zero)
    high = vector(0.92 * hx, 0.92 * hy, top - 0.3)
    floating = np.where(draws.chance('weightless', 0.12), 0.9, 0.12)
    scale = draws.log_uniform('scale', 0.6, 1.1) * grow**0.5
    things = clutter(
        draws.within('things'), _INDOORS, low, high, scale, floating, 1, held_out, zero
    )
    spot = draws.uniform('spot', -0.6, 0.6, (3,)) * vector(hx, hy, 0)
    spot[:, 2] = draws.uniform('eye', 0.5, 1.8)
    heading = np.arctan2(-spot[:, 1], -spot[:, 0]) + draws.uniform('look', -1.1, 1.1)
    lamp = draws.uniform('lamp', -0.8, 0.8, (3,)) * vector(hx, hy, 0)
    lamp[:, 2] = draws.uniform('lamp height', 0.7, 0.95) * top
    return Surroundings(
        bodies=Bodies.beside([shell, _pictures(draws, hx, hy, top), things]),
        lamp=lamp,
        spot=spot,
        heading=heading,
        reach=np.minimum(np.hypot(hx, hy), 6.0),
        extent=np.stack([hx, hy], -1),
    )


def _pictures(draws: Draws, hx: np.ndarray, hy: np.ndarray, top: np.ndarray) -> Bodies:
    """Doors, windows and pictures: thin boxes on the walls."""
    n, shape = len(draws), (_PICTURES,)
    wall = draws.index('wall', 4, shape)
    on_x, sign = wall < 2, np.where(wall % 2, 1.0, -1.0)
    along = draws.uniform('along wall', -0.9, 0.9, shape)
    x = np.where(on_x, sign * hx[:, None], along * hx[:, None])
    y = np.where(on_x, along * hy[:, None], sign * hy[:, None])
    wide, tall = draws.uniform('picture', 0.2, 0.7, (2, _PICTURES)).swapaxes(0, 1)
    door = draws.chance('door', 0.3, shape)
    tall = np.where(door, 1.0, tall)
    height = np.where(door, 1.0, draws.uniform('hung', 0.35, 0.75, shape) * top[:, None])
    half = np.where(on_x[..., None], vector(0.03, wide, tall), vector(wide, 0.03, tall))
    kind = np.where(draws.chance('hangs', 0.5, shape), BOX, ABSENT)
    surface = draws.index('picture surface', ANY.stop - FRONTS.start, shape) + FRONTS.start
    numbers = _FIRST_OTHER + np.arange(_PICTURES)
    return bodies(
        n, _PICTURES, kind, half, vector(x, y, height), instance=numbers, surface=surface
    )


def open_ground(draws: Draws, held_out: bool) -> Surroundings:
    """A plain or hills with things on it, below the sky."""
    n, shape = len(draws), (_HILLS,)
    ground = bodies(n, 1, BOX, np.array([300.0, 300.0, 1.0]), np.array([0.0, 0.0, -1.0]))
    bearing = draws.uniform('bearing', -np.pi, np.pi, shape)
    away = draws.log_uniform('away', 25, 120, shape)
    size = away[..., None] * draws.uniform('hill', 0.2, 0.6, (_HILLS, 3))
    size[..., 2] *= 0.4
    kind = np.where(draws.chance('hilly', 0.5, shape) & ~held_out, ELLIPSOID, ABSENT)
    hills = bodies(
        n,
        _HILLS,
        kind,
        size,
        vector(away * np.cos(bearing), away * np.sin(bearing), 0.0),
        instance=_FIRST_OTHER + np.arange(_HILLS),
        surface=draws.index('hill surface', 8, shape) + ANY.start,
    )
    reach = draws.log_uniform('reach', 4, 22)
    zero = np.zeros(n)
    low, high = vector(-reach, -reach, zero), vector(reach, reach, 0.4 * reach)
    things = clutter(
        draws.within('things'),
        _OUTDOORS,
        low,
        high,
        draws.log_uniform('scale', 0.08, 0.16) * reach + 0.3,
        draws.uniform('floating', 0, 0.3),
        1,
        held_out,
    )
    spot = draws.uniform('spot', -0.6, 0.6, (3,)) * reach[:, None]
    spot[:, 2] = draws.log_uniform('eye', 0.3, 2.5)
    return Surroundings(
        bodies=Bodies.beside([ground, hills, things]),
        lamp=_sun(draws),
        spot=spot,
        heading=np.arctan2(-spot[:, 1], -spot[:, 0]) + draws.uniform('look', -0.9, 0.9),
        reach=reach,
        extent=np.stack([reach, reach], -1),
    )


def street(draws: Draws, held_out: bool) -> Surroundings:
    """A road between rows of houses, with parked cars, trees, lanterns and people on pavements."""
    n = len(draws)
    zero = np.zeros(n)
    wide, path = draws.uniform('road', 2.8, 6.0), draws.uniform('pavement', 1.5, 4.0)
    ground = bodies(n, 1, BOX, np.array([300.0, 300.0, 1.0]), np.array([0.0, 0.0, -1.0]))
    middle = 0.5 * (path + 12)
    pavements = bodies(
        n,
        2,
        BOX,
        vector(150.0, middle[:, None], 0.06),
        vector(0.0, np.stack([wide + middle, -wide - middle], 1), 0.06),
        surface=PAVEMENT,
    )
    dash = np.arange(14)
    marks = bodies(
        n,
        14,
        np.where(draws.chance('marked', 0.7)[:, None], BOX, ABSENT),
        np.array([0.9, 0.07, 0.004]),
        vector(4.0 * dash - 6, 0.0, 0.004),
        surface=MARKING,
    )
    low, high = vector(-4.0 + zero, wide + 0.2, 0.12), vector(45.0 + zero, wide + path, 3.0)
    things = clutter(
        draws.within('things'),
        _PAVEMENTS,
        low,
        high,
        draws.uniform('scale', 0.9, 1.2),
        zero,
        1,
        held_out,
        zero,
    )
    left = draws.chance('left side', 0.5, (THINGS,))
    parts = things.count // THINGS
    sides = np.where(np.repeat(left, parts, axis=1), 1.0, -1.0)
    things = replace(things, place=things.place * vector(1.0, sides, 1.0))
    houses = _houses(draws, wide + path)
    parked = _parked(draws, wide, held_out)
    spot = vector(0.0, draws.uniform('lane', -0.5, 0.5) * wide, draws.uniform('eye', 0.9, 1.9))
    return Surroundings(
        bodies=Bodies.beside([ground, pavements, marks, houses, parked, things]),
        lamp=_sun(draws),
        spot=spot,
        heading=draws.uniform('look', -0.25, 0.25),
        reach=np.full(n, 12.0),
        extent=np.stack([np.full(n, 12.0), wide], -1),
    )


def _houses(draws: Draws, front: np.ndarray) -> Bodies:
    """Two rows of boxes with windows, gaps between some of them."""
    n, shape = len(draws), (_HOUSES,)
    row, side = np.arange(_HOUSES) // 2, np.where(np.arange(_HOUSES) % 2, 1.0, -1.0)
    x = -26 + row * 12.5 + draws.uniform('house shift', -1.2, 1.2, shape)
    deep = draws.uniform('house depth', 3.0, 6.0, shape)
    y = side * (front[:, None] + deep + draws.uniform('set back', 0, 1.5, shape))
    tall = draws.log_uniform('house height', 1.3, 7.0, shape)
    return bodies(
        n,
        _HOUSES,
        np.where(draws.chance('built', 0.88, shape), BOX, ABSENT),
        vector(draws.uniform('house length', 3.5, 6.3, shape), deep, tall),
        vector(x, y, tall),
        instance=_FIRST_OTHER + np.arange(_HOUSES),
        surface=draws.index('front', len(FRONTS), shape) + FRONTS.start,
    )


def _parked(draws: Draws, wide: np.ndarray, held_out: bool) -> Bodies:
    """Cars and vans along the kerbs."""
    shape = (_PARKED,)
    kits = [NAMES.index(name) for name in (('wedge',) if held_out else ('car', 'van'))]
    kit = np.array(kits)[draws.index('parked', len(kits), shape)]
    kit = np.where(draws.chance('parks', 0.5, shape), kit, ABSENT)
    row, side = np.arange(_PARKED) // 2, np.where(np.arange(_PARKED) % 2, 1.0, -1.0)
    x = 1.0 + 8.0 * row + draws.uniform('parked shift', -1.5, 1.5, shape)
    half = np.array([2.0, 0.85, 0.75]) * draws.uniform('parked size', 0.85, 1.2, (_PARKED, 3))
    foot = vector(x, side * (wide[:, None] - 1.0), 0.0)
    yaw = np.where(draws.chance('parked backwards', 0.3, shape), np.pi, 0.0)
    surface = draws.index('parked surface', ANY.stop - ANY.start, (_PARKED, 2)) + ANY.start
    numbers = _FIRST_OTHER + _HOUSES + np.arange(_PARKED)
    return put(kit, half, foot, yaw, surface, numbers)


def _sun(draws: Draws) -> np.ndarray:
    """A lamp so far away that its rays are nearly parallel."""
    azimuth = draws.uniform('sun azimuth', -np.pi, np.pi)
    height = draws.uniform('sun height', 0.25, 1.3)
    return 150 * vector(
        np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)
    )

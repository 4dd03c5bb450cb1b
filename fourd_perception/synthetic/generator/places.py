"""Rooms, streets and open ground: what stands there, and where a rig may be."""

from __future__ import annotations

from fourd_perception.synthetic.generator.bodies import ABSENT, Bodies, BOX, CYLINDER, ELLIPSOID
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.scene import Lights, Surroundings
from fourd_perception.synthetic.generator.things import bodies, vector
import numpy as np

OBJECTS = 40
SURFACES = 48


def clutter(
    draws: Draws, low: np.ndarray, high: np.ndarray, size: np.ndarray, floating: float
) -> Bodies:
    """5 to 40 things of all shapes on the floor (z = 0) between low and high [B, 3].

    size [B]: metres, of a usual thing
    """
    n, shape = len(draws), (OBJECTS,)
    kind = draws.choice('kind', (0.5, 0.25, 0.25), shape)
    kind = np.array([BOX, ELLIPSOID, CYLINDER])[kind]
    half = draws.log_uniform('half', 0.25, 1.6, (OBJECTS, 3)) * size[:, None, None] * 0.5
    half[..., 1] = np.where(kind == CYLINDER, half[..., 0], half[..., 1])
    pole = draws.chance('pole', 0.12, shape)
    thin = draws.log_uniform('thin', 0.01, 0.05, shape) * size[:, None]
    half[..., 0] = np.where(pole, thin, half[..., 0])
    half[..., 1] = np.where(pole, thin, half[..., 1])
    half[..., 2] = np.where(pole, size[:, None] * 1.2, half[..., 2])
    place = low[:, None] + draws.uniform('place', shape=(OBJECTS, 3)) * (high - low)[:, None]
    hovering = draws.chance('hovering', floating, shape)
    place[..., 2] = np.where(hovering, place[..., 2], half[..., 2])
    turn = draws.uniform('turn', -np.pi, np.pi, (OBJECTS, 3))
    turn[..., :2] *= (hovering & ~pole)[..., None]
    count = draws.index('count', OBJECTS - 4) + 5
    kind = np.where(np.arange(OBJECTS) < count[:, None], kind, ABSENT)
    instance = 1 + np.arange(OBJECTS)
    surface = draws.index('surface', SURFACES - 8, shape) + 8
    return bodies(n, OBJECTS, kind, half, place, turn, 0, instance, surface)


def _lights(draws: Draws, lamp: np.ndarray, sky: np.ndarray) -> Lights:
    tint = draws.uniform('lamp tint', 0.85, 1.0, (3,))
    strength = draws.uniform('lamp strength', 0.3, 1.0)[:, None]
    return Lights(
        lamp=lamp,
        lamp_colour=tint * strength,
        ambient=draws.uniform('ambient tint', 0.85, 1.0, (3,))
        * draws.uniform('ambient', 0.35, 0.8)[:, None],
        shadow=draws.uniform('shadow', 0.4, 1.0),
        zenith=sky,
        horizon=draws.uniform('horizon', 0.7, 0.98, (3,)),
    )


def room(draws: Draws) -> Surroundings:
    """A room or a corridor with things in it."""
    n = len(draws)
    corridor = draws.chance('corridor', 0.25)
    hx = np.where(corridor, draws.uniform('length', 5, 14), draws.uniform('depth', 1.8, 5.5))
    hy = np.where(corridor, draws.uniform('narrow', 0.9, 1.6), draws.uniform('width', 1.6, 5.0))
    top = draws.uniform('height', 2.2, 3.6)
    half = np.stack(
        [
            vector(hx, hy, 0.5 * top + 0.5),
            vector(hx + 1, hy + 1, 0.5),
            vector(hx + 1, hy + 1, 0.5),
        ],
        1,
    )
    zero = np.zeros(n)
    place = np.stack(
        [vector(zero, zero, 0.5 * top), vector(zero, zero, -0.5), vector(zero, zero, top + 0.5)], 1
    )
    shell = bodies(n, 3, BOX, half, place, surface=np.arange(3))
    low = vector(-0.95 * hx, -0.95 * hy, 0.3)
    high = vector(0.95 * hx, 0.95 * hy, top - 0.3)
    things = clutter(draws.within('things'), low, high, draws.log_uniform('size', 0.4, 0.9), 0.25)
    spot = draws.uniform('spot', -0.6, 0.6, (3,)) * vector(hx, hy, 0)
    spot[:, 2] = draws.uniform('eye', 0.6, np.nan_to_num(1.8))
    toward = np.arctan2(-spot[:, 1], -spot[:, 0])
    heading = toward + draws.uniform('look', -1.2, 1.2)
    lamp = draws.uniform('lamp', -0.8, 0.8, (3,)) * vector(hx, hy, 0)
    lamp[:, 2] = 0.92 * top
    return Surroundings(
        bodies=Bodies.beside([shell, things]),
        links=Links.still(n, 1),
        lights=_lights(draws, lamp, draws.uniform('sky', 0.2, 0.8, (3,))),
        spot=spot,
        heading=heading,
        depth=np.minimum(hx, 4.0),
    )


def open_ground(draws: Draws) -> Surroundings:
    """A plain with things on it, below the sky."""
    n = len(draws)
    half = np.broadcast_to([[[300.0, 300.0, 1.0]]], (n, 1, 3))
    ground = bodies(n, 1, BOX, half, np.array([0.0, 0.0, -1.0]))
    reach = draws.log_uniform('reach', 5, 25)
    low, high = vector(-reach, -reach, 0.3), vector(reach, reach, 0.4 * reach)
    things = clutter(draws.within('things'), low, high, 0.15 * reach, 0.2)
    spot = vector(0.0, 0.0, draws.log_uniform('eye', 0.4, 2.5) * np.ones(n))
    return Surroundings(
        bodies=Bodies.beside([ground, things]),
        links=Links.still(n, 1),
        lights=_lights(draws, _sun(draws), draws.uniform('sky', 0.25, 0.9, (3,))),
        spot=spot,
        heading=draws.uniform('look', -np.pi, np.pi),
        depth=0.5 * reach,
    )


def street(draws: Draws) -> Surroundings:
    """A road between two rows of houses, with poles and things on the pavements."""
    n, houses = len(draws), 16
    half = np.broadcast_to([[[300.0, 300.0, 1.0]]], (n, 1, 3))
    ground = bodies(n, 1, BOX, half, np.array([0.0, 0.0, -1.0]))
    wide = draws.uniform('road', 3.0, 6.0)
    path = draws.uniform('pavement', 1.5, 4.0)
    row = np.arange(houses) // 2
    side = np.where(np.arange(houses) % 2, 1.0, -1.0)
    length = draws.uniform('house length', 3.5, 6.5, (houses,))
    x = -25 + row * 13.0 + draws.uniform('house shift', -1.5, 1.5, (houses,))
    tall = draws.uniform('house height', 1.5, 6.0, (houses,))
    deep = 4.0
    y = side * ((wide + path)[:, None] + deep + draws.uniform('set back', 0, 1.5, (houses,)))
    rows = bodies(
        n,
        houses,
        BOX,
        vector(length, deep, tall),
        vector(x, y, tall),
        surface=draws.index('house surface', SURFACES - 8, (houses,)) + 8,
        instance=0,
    )
    pave = bodies(
        n,
        2,
        BOX,
        vector(150.0, 0.5 * (path + 10)[:, None], 0.07 * np.ones((n, 2))),
        vector(0.0, np.stack([wide + 0.5 * (path + 10), -wide - 0.5 * (path + 10)], 1), 0.07),
        surface=1,
    )
    low, high = vector(-5.0, -wide - path, 0.3), vector(50.0, wide + path, 3.0)
    things = clutter(draws.within('things'), low, high, draws.log_uniform('size', 0.8, 1.8), 0.05)
    # The road itself is free.
    free = np.abs(things.place[..., 1]) > wide[:, None]
    things = things.without(~free)
    spot = vector(0.0, draws.uniform('lane', -0.5, 0.5) * wide, draws.uniform('eye', 1.1, 1.9))
    return Surroundings(
        bodies=Bodies.beside([ground, pave, rows, things]),
        links=Links.still(n, 1),
        lights=_lights(draws, _sun(draws), draws.uniform('sky', 0.25, 0.9, (3,))),
        spot=spot,
        heading=draws.uniform('look', -0.2, 0.2),
        depth=np.full(n, 9.0),
    )


def _sun(draws: Draws) -> np.ndarray:
    """A lamp so far away that its rays are nearly parallel."""
    azimuth = draws.uniform('sun azimuth', -np.pi, np.pi)
    height = draws.uniform('sun height', 0.25, 1.3)
    return 300 * vector(
        np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)
    )

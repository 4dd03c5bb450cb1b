"""A street between two rows of houses, with traffic, under an open sky."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fourd_perception.synthetic.materials import (
    colour,
    grain_offset,
    material,
    phases,
    standing,
    vector,
)
from fourd_perception.synthetic.motion import Motion, Vector
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Texture
import numpy as np

# The rig drives along +x on the right. Lanes, from right to left, as y of their middle in metres.
_SPEED = 2.4
_PATH_RIGHT, _LANE, _ONCOMING, _PARKING, _PATH_LEFT = -4.4, -1.7, 1.5, 3.55, 5.2
_KERB_RIGHT, _KERB_LEFT = -3.4, 4.5
_TREES = (-6.2, 6.7)
_HOUSES = (-7.7, 8.2)
_KERB_HEIGHT = 0.12


def street(rng: np.random.Generator, seconds: float) -> tuple[tuple[Body, ...], Vector, Motion]:
    """Bodies, position of the sun, and trajectory of the base for a drive of `seconds`."""
    length = _SPEED * seconds
    asphalt = Texture('plain', ((0.42, 0.42, 0.44), (0.4, 0.4, 0.4)), 1.0, 0.35)
    marking = Texture('stripes', ((0.42, 0.42, 0.44), (0.9, 0.9, 0.86)), 4.0, 0.2)
    middle, reach = 0.5 * length, 0.5 * length + 60.0
    bodies = [
        standing('ground', 'box', [reach + 200, 200, 1], [middle, 0, -1], asphalt),
        standing('marking', 'box', [reach, 0.08, 0.005], [middle, 0, 0.005], marking),
        *_pavements(middle, reach),
        *_houses(rng, length + 45.0),
        *_trees(rng, length + 25.0),
        *_parked(rng, length + 20.0),
        *_traffic(rng, seconds),
    ]
    trajectory = Motion(
        position=(0.0, _LANE, 0.35),
        velocity=(_SPEED, 0.0, 0.0),
        sway=(0.2, 0.3, 0.02),
        sway_phase=phases(rng),
        sway_period=5.0,
        rock=(0.015, 0.015, 0.1),
        rock_phase=phases(rng),
        rock_period=4.3,
    )
    return tuple(bodies), (-4000.0, 2500.0, 6000.0), trajectory


def _pavements(middle: float, reach: float) -> Iterator[Body]:
    paving = Texture('bricks', ((0.5, 0.48, 0.45), (0.66, 0.63, 0.58)), 0.8, 0.25)
    for name, kerb, wall in (
        ('right', _KERB_RIGHT, _HOUSES[0] - 1.0),
        ('left', _KERB_LEFT, _HOUSES[1] + 1.0),
    ):
        half = [reach, 0.5 * abs(wall - kerb), 0.5 * _KERB_HEIGHT]
        centre = [middle, 0.5 * (wall + kerb), 0.5 * _KERB_HEIGHT]
        yield standing(f'pavement_{name}', 'box', half, centre, paving)


def _houses(rng: np.random.Generator, end: float) -> Iterator[Body]:
    """Two rows, some houses with a gap between them."""
    for side, front in enumerate(_HOUSES):
        x, number = -28.0 + float(rng.uniform(0, 4)), 0
        while x < end:
            length, height = rng.uniform(6.0, 11.0), rng.uniform(3.2, 6.5)
            bricks = rng.uniform() < 0.35
            texture = (
                material(rng, 'bricks', 0.7, 0.3, 0.35)
                if bricks
                else material(rng, 'windows', 2.2, 0.3, 0.35)
            )
            setback = np.sign(front) * (4.0 + float(rng.uniform(0, 0.5)))
            centre = [x + 0.5 * length, front + setback, height]
            half = [0.5 * length, 4.0, height]
            yield standing(f'house_{side}_{number}', 'box', half, centre, texture)
            x += length + (float(rng.uniform(1.0, 3.5)) if rng.uniform() < 0.5 else 0.0)
            number += 1


def _trees(rng: np.random.Generator, end: float) -> Iterator[Body]:
    bark = Texture('stripes', ((0.35, 0.27, 0.2), (0.45, 0.36, 0.28)), 0.08, 0.4)
    for side, y in enumerate(_TREES):
        for number, x in enumerate(np.arange(-9.0 + 4.0 * side, end, 8.5)):
            x += rng.uniform(-1.2, 1.2)
            wide, tall = rng.uniform(0.9, 1.25), rng.uniform(1.0, 1.4)
            green = (colour(0.28, 0.6, 0.35), colour(rng.uniform(0.2, 0.3), 0.65, 0.6))
            leaves = Texture('dots', green, 0.25, 0.7, grain_offset(rng))
            name = f'{side}_{number}'
            yield standing(f'trunk_{name}', 'cylinder', [0.13, 0.13, 1.5], [x, y, 1.5], bark)
            crown = [x, y, 2.4 + tall]
            yield standing(f'crown_{name}', 'ellipsoid', [wide, wide, tall], crown, leaves)


def _parked(rng: np.random.Generator, end: float) -> Iterator[Body]:
    for number, x in enumerate(np.arange(-8.0, end, 9.0)):
        place = Motion(vector((x + rng.uniform(-1.5, 1.5), _PARKING, 0.0)))
        yield from _car(rng, f'parked_{number}', place)


def _traffic(rng: np.random.Generator, seconds: float) -> Iterator[Body]:
    """Everything that moves, centimetres above what it moves on."""
    speed = 5.0
    last = (speed + _SPEED) * seconds + 20.0
    for number, x in enumerate(np.arange(7.0, last, 13.0)):
        place = vector((x + rng.uniform(-1.0, 1.0), _ONCOMING, 0.08))
        yield from _car(rng, f'oncoming_{number}', Motion(place, velocity=(-speed, 0.0, 0.0)))
    for number, (x, pace) in enumerate(((3.5, 1.5), (1.0, 3.0), (11.0, -1.4), (22.0, -1.8))):
        y = _PATH_RIGHT + (0.7 if pace < 0 else 0.0)
        yield from _walker(rng, f'right_{number}', x, y, pace)
    for number, x in enumerate(np.arange(4.0, 2.0 * _SPEED * seconds + 8.0, 4.5)):
        yield from _walker(rng, f'left_{number}', float(x), _PATH_LEFT, -1.6)
    yield _drone(rng)


def _walker(
    rng: np.random.Generator, name: str, x: float, y: float, pace: float
) -> Iterator[Body]:
    """A round figure with a head, in the optical height of a person."""
    coat = material(rng, 'stripes', 0.25, 0.3, 0.9)
    skin = Texture('plain', ((0.85, 0.65, 0.5), (0.8, 0.6, 0.5)), 1.0, 0.25)
    ground = _KERB_HEIGHT + 0.05
    motion = Motion((x, y, ground), velocity=(pace, 0.0, 0.0), turn=(0.0, 0.0, 0.5))
    radius, tall = float(rng.uniform(0.2, 0.27)), float(rng.uniform(0.65, 0.75))
    up = ground + tall
    half = (radius, radius, tall)
    yield Body(f'walker_{name}', 'cylinder', half, coat, replace(motion, position=(x, y, up)))
    head = replace(motion, position=(x, y, up + tall + 0.17))
    yield Body(f'head_{name}', 'ellipsoid', (0.12, 0.12, 0.16), skin, head)


def _drone(rng: np.random.Generator) -> Body:
    """It swings to and fro ahead of the rig, so that something always moves in front."""
    phase = float(rng.uniform(0, 2 * np.pi))
    motion = Motion(
        position=(6.5, _LANE, 2.6),
        velocity=(_SPEED, 0.0, 0.0),
        sway=(0.6, 1.7, 0.3),
        sway_phase=(phase, phase + np.pi / 2, 2 * phase),
        sway_period=3.1,
        turn=(0.4, 0.3, 1.2),
    )
    return Body('drone', 'box', (0.4, 0.3, 0.2), material(rng, 'checks', 0.2, 0.3, 0.9), motion)


def _car(rng: np.random.Generator, name: str, motion: Motion) -> Iterator[Body]:
    """A chassis and a cabin that share one motion, `motion.position` on the ground below."""
    paint = material(rng, 'plain', 1.0, 0.2, 0.9)
    glass = Texture('windows', (paint.colours[0], (0.12, 0.15, 0.2)), 0.72, 0.2)
    x, y, z = motion.position
    for part, half, up, texture in (
        ('chassis', (1.9, 0.85, 0.34), 0.36, paint),
        ('cabin', (1.05, 0.75, 0.3), 1.0, glass),
    ):
        place = (x + (0.2 if part == 'cabin' else 0.0), y, z + up)
        yield Body(f'{name}_{part}', 'box', half, texture, replace(motion, position=place))

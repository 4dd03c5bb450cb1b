"""What stands and what moves: a furnished room and a street, drawn from a seed."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fourd_perception.synthetic.motion import ZERO, Motion, Vector
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Colour, Texture

Scene = tuple[tuple[Body, ...], Vector, Motion]


def make_scene(kind: str, seed: int) -> Scene:
    """Bodies, position of the lamp, and trajectory of the base, for `room` or `street`."""
    makers = {'room': _room, 'street': _street}
    if kind not in makers:
        raise ValueError(f'kind {kind!r} is unknown; take one of {tuple(makers)}')
    return makers[kind](np.random.default_rng(seed))


def _room(rng: np.random.Generator) -> Scene:
    half = np.array([4.6, 3.9, 1.5])
    bodies = [*_walls(rng, half), *_furniture(rng, half), *_room_movers(rng)]
    trajectory = Motion(
        position=(-1.0, 0.0, 0.15),
        velocity=(0.12, 0.0, 0.0),
        sway=(0.25, 0.4, 0.04),
        sway_phase=_phases(rng),
        sway_period=5.0,
        rock=(0.03, 0.04, 0.3),
        rock_phase=_phases(rng),
        rock_period=4.4,
    )
    return tuple(bodies), (0.6, 0.4, 2.7), trajectory


def _walls(rng: np.random.Generator, half: np.ndarray) -> Iterator[Body]:
    """Six slabs around the half sizes `half`, closed at the corners; the floor is at z = 0."""
    thick = 0.2
    materials = {
        'floor': ('bricks', 1.1, 0.35, 0.5),
        'ceiling': ('plain', 1.0, 0.2, 0.1),
        'wall_back': ('checks', 0.8, 0.3, 0.25),
        'wall_front': ('stripes', 0.7, 0.3, 0.3),
        'wall_right': ('bricks', 0.6, 0.35, 0.35),
        'wall_left': ('dots', 0.55, 0.3, 0.3),
    }
    sides = ((2, -1), (2, 1), (0, -1), (0, 1), (1, -1), (1, 1))
    for (name, material), (axis, sign) in zip(materials.items(), sides):
        size, centre = half + thick, np.array([0.0, 0.0, half[2]])
        size[axis] = 0.5 * thick
        centre[axis] += sign * (half[axis] + 0.5 * thick)
        yield _still(name, 'box', size, list(centre), _texture(rng, *material))


def _furniture(rng: np.random.Generator, half: np.ndarray) -> Iterator[Body]:
    """Things along the four walls, standing on the floor or hanging."""
    for wall in range(4):
        along, depth = (half[1], half[0]) if wall < 2 else (half[0], half[1])
        sign = 1 if wall % 2 else -1
        for place, spot in enumerate((-0.55, 0.05, 0.6)):
            size = rng.uniform([0.25, 0.15, 0.25], [0.55, 0.3, 0.8])
            lateral, inward = spot * along + rng.uniform(-0.2, 0.2), depth - size[1] - 0.04
            shape = ('box', 'cylinder', 'box', 'ellipsoid')[int(rng.integers(4))]
            up = size[2] if place != 1 else 1.7
            if place == 1:
                size, shape, inward = np.array([0.6, 0.03, 0.4]), 'box', depth - 0.02
            if shape == 'cylinder':
                size[:2] = size[:2].min() + 0.05
                inward = depth - size[0] - 0.04
            across = (sign * inward, lateral) if wall < 2 else (lateral, sign * inward)
            yaw = np.pi / 2 if wall < 2 else 0.0
            pattern = ('stripes', 'bricks', 'dots', 'checks', 'plain')[int(rng.integers(5))]
            texture = _texture(rng, pattern, float(rng.uniform(0.12, 0.4)), 0.3)
            yield _still(f'furniture_{wall}_{place}', shape, size, [*across, up], texture, yaw)


def _room_movers(rng: np.random.Generator) -> Iterator[Body]:
    places = ((1.9, 0.9, 1.2), (2.1, -1.2, 0.9), (0.0, 2.2, 1.1), (0.2, -2.2, 1.3))
    shapes = ('box', 'ellipsoid', 'cylinder', 'box')
    for number, (place, shape) in enumerate(zip(places, shapes)):
        size = rng.uniform(0.18, 0.32, 3)
        if shape == 'cylinder':
            size[1] = size[0]
        phase = float(rng.uniform(0, 2 * np.pi))
        motion = Motion(
            position=place,
            sway=(0.45, 0.6, 0.25),
            sway_phase=(phase, phase + np.pi / 2, phase + 1.0),
            sway_period=float(rng.uniform(2.2, 3.2)),
            turn=(0.3, 0.2, float(rng.uniform(0.8, 1.6))),
        )
        pattern = ('checks', 'stripes', 'dots', 'bricks')[number]
        texture = _texture(rng, pattern, 0.2, 0.3, 0.9)
        yield Body(f'mover_{number}', shape, _vector(size), texture, motion)


def _street(rng: np.random.Generator) -> Scene:
    asphalt = Texture('plain', ((0.42, 0.42, 0.44), (0.4, 0.4, 0.4)), 1.0, 0.35)
    paving = Texture('bricks', ((0.5, 0.48, 0.45), (0.66, 0.63, 0.58)), 0.8, 0.25)
    marking = Texture('stripes', ((0.42, 0.42, 0.44), (0.9, 0.9, 0.86)), 4.0, 0.2)
    bodies = [
        _still('ground', 'box', [200, 200, 1], [0, 0, -1], asphalt),
        _still('pavement_left', 'box', [60, 1.5, 0.06], [0, 5.2, 0.06], paving),
        _still('pavement_right', 'box', [60, 1.5, 0.06], [0, -5.2, 0.06], paving),
        _still('lane_marking', 'box', [60, 0.08, 0.005], [0, 0, 0.005], marking),
        *_facades(rng),
        *_roadside(rng),
        *_traffic(rng),
    ]
    trajectory = Motion(
        position=(-4.0, -1.7, 0.35),
        velocity=(2.4, 0.0, 0.0),
        sway=(0.3, 0.35, 0.02),
        sway_phase=_phases(rng),
        sway_period=5.0,
        rock=(0.015, 0.015, 0.12),
        rock_phase=_phases(rng),
        rock_period=3.7,
    )
    return tuple(bodies), (-4000.0, 2500.0, 6000.0), trajectory


def _facades(rng: np.random.Generator) -> Iterator[Body]:
    """Two rows of houses, some with a gap between them."""
    for sign in (-1, 1):
        start = -32.0 + float(rng.uniform(0, 4))
        number = 0
        while start < 48.0:
            length, height = rng.uniform(6.0, 12.0), rng.uniform(3.5, 7.0)
            setback = float(rng.uniform(6.7, 7.4))
            pattern, period = (('windows', 2.2), ('bricks', 0.7))[int(rng.uniform() < 0.35)]
            texture = _texture(rng, pattern, period, 0.3, 0.45)
            centre = [start + 0.5 * length, sign * (setback + 4.0), height]
            half = np.array([0.5 * length, 4.0, height])
            yield _still(f'house_{"r" if sign < 0 else "l"}{number}', 'box', half, centre, texture)
            start += length + (float(rng.uniform(1.0, 4.0)) if rng.uniform() < 0.5 else 0.0)
            number += 1


def _roadside(rng: np.random.Generator) -> Iterator[Body]:
    """Trees, lamp posts and parked cars."""
    bark = Texture('stripes', ((0.35, 0.27, 0.2), (0.45, 0.36, 0.28)), 0.08, 0.4)
    for number in range(6):
        sign = 1 if number % 2 else -1
        x = -10.0 + 5.5 * number + float(rng.uniform(-1.5, 1.5))
        crown = rng.uniform(0.9, 1.3)
        leaves = _texture(rng, 'dots', 0.25, 0.6, 0.7)
        green = (_colour(0.28, 0.6, 0.35), _colour(0.25, 0.65, 0.6))
        leaves = Texture('dots', green, 0.25, 0.7, leaves.offset)
        y = sign * 4.6
        yield _still(f'trunk_{number}', 'cylinder', [0.12, 0.12, 1.4], [x, y, 1.4], bark)
        yield _still(
            f'crown_{number}', 'ellipsoid', [crown, crown, 1.2], [x, y, 3.6], leaves
        )
    for number, x in enumerate((-6.0, 3.5, 14.0)):
        parked = Motion((x + float(rng.uniform(-1, 1)), 2.75 if number != 1 else -3.9, 0.0))
        yield from _car(rng, f'parked_{number}', parked)


def _traffic(rng: np.random.Generator) -> Iterator[Body]:
    """Everything that moves."""
    yield from _car(rng, 'oncoming', Motion((16.0, 1.2, 0.1), velocity=(-5.0, 0.0, 0.0)))


def _car(rng: np.random.Generator, name: str, motion: Motion) -> Iterator[Body]:
    """A chassis and a cabin that share one motion, `motion.position` on the ground under it."""
    paint = _texture(rng, 'plain', 1.0, 0.15, 0.9)
    x, y, z = motion.position
    for part, half, up, back in (
        ('chassis', (2.0, 0.85, 0.32), 0.52, 0.0),
        ('cabin', (1.1, 0.75, 0.3), 1.13, 0.25),
    ):
        texture = paint if part == 'chassis' else Texture(
            'windows', (paint.colours[0], (0.12, 0.15, 0.2)), 0.72, 0.15
        )
        yield Body(
            f'{name}_{part}', 'box', half, texture, replace(motion, position=(x - back, y, z + up))
        )


def _still(
    name: str, shape: str, half: np.ndarray, position: list, texture: Texture, yaw: float = 0.0
) -> Body:
    motion = Motion(_vector(position), rotation=(0.0, 0.0, float(yaw)))
    return Body(name, shape, _vector(half), texture, motion)


def _texture(
    rng: np.random.Generator, pattern: str, period: float, noise: float, vivid: float = 0.6
) -> Texture:
    """A pattern in two colours of one random hue family."""
    hue = float(rng.uniform())
    first = _colour(hue, 0.35 * vivid, 0.85)
    second = _colour(hue + float(rng.uniform(-0.15, 0.15)), vivid, float(rng.uniform(0.35, 0.6)))
    offset = rng.uniform(0, 10, 2)
    return Texture(pattern, (first, second), period, noise, (float(offset[0]), float(offset[1])))


def _colour(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def _vector(values: object) -> Vector:
    x, y, z = (float(v) for v in np.asarray(values))
    return x, y, z


def _phases(rng: np.random.Generator) -> Vector:
    return _vector(rng.uniform(0, 2 * np.pi, 3))

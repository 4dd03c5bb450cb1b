"""A closed room with furniture along the walls, and things that fly about in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fourd_perception.synthetic.materials import material, phases, standing, vector
from fourd_perception.synthetic.motion import Motion, Vector
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Texture
import numpy as np

HALF_SIZE = np.array([4.7, 4.1, 1.5])
# The rig circles here; movers stay farther than `_KEEP_OUT` from it, and this far from the rest.
_RIG_CENTRE = np.array([-0.8, 0.0, 1.2])
_KEEP_OUT = 1.5
_CLEARANCE = 0.05
_MOVER_HEADINGS = (20, -25, 62, -65, 100, -105)
_TRIES = 500


def room(rng: np.random.Generator) -> tuple[tuple[Body, ...], Vector, Motion]:
    """Bodies, position of the lamp, and trajectory of the base; the floor is z = 0."""
    still = [*_walls(rng), *_furniture(rng)]
    trajectory = Motion(
        position=(float(_RIG_CENTRE[0]), 0.0, 0.15),
        sway=(0.45, 0.4, 0.04),
        sway_phase=phases(rng),
        sway_period=6.0,
        rock=(0.03, 0.03, 0.22),
        rock_phase=phases(rng),
        rock_period=5.1,
    )
    return (*still, *_movers(rng, still)), (0.4, 0.3, 2.0), trajectory


def _walls(rng: np.random.Generator) -> Iterator[Body]:
    """Six slabs, closed at the corners."""
    thick = 0.2
    materials = {
        'floor': Texture('bricks', ((0.4, 0.3, 0.22), (0.74, 0.57, 0.4)), 0.9, 0.35),
        'ceiling': Texture('checks', ((0.95, 0.95, 0.92), (0.8, 0.82, 0.84)), 1.2, 0.25),
        'wall_back': material(rng, 'checks', 0.8, 0.3, 0.25),
        'wall_front': material(rng, 'stripes', 0.7, 0.3, 0.25),
        'wall_right': material(rng, 'bricks', 0.6, 0.35, 0.35),
        'wall_left': material(rng, 'dots', 0.5, 0.3, 0.25),
    }
    sides = ((2, -1), (2, 1), (0, -1), (0, 1), (1, -1), (1, 1))
    for (name, texture), (axis, sign) in zip(materials.items(), sides):
        size, centre = HALF_SIZE + thick, np.array([0.0, 0.0, HALF_SIZE[2]])
        size[axis] = 0.5 * thick
        centre[axis] += sign * (HALF_SIZE[axis] + 0.5 * thick)
        yield standing(name, 'box', size, centre, texture)


def _furniture(rng: np.random.Generator) -> Iterator[Body]:
    """Along each wall two things on the floor, and a picture between them."""
    for wall, heading in enumerate(np.radians([0, 90, 180, 270])):
        out, along = (0, 1) if wall % 2 == 0 else (1, 0)
        for place in (-1, 0, 1):
            shape, half = _piece(rng, picture=place == 0)
            away = HALF_SIZE[out] - half[1] - 0.02
            sideways = place * 0.58 * HALF_SIZE[along] + rng.uniform(-0.3, 0.3)
            turn = np.array(
                [[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]]
            )
            up = 1.75 if place == 0 else half[2]
            pattern = str(rng.choice(['stripes', 'bricks', 'dots', 'checks', 'plain']))
            texture = material(rng, pattern, float(rng.uniform(0.12, 0.4)), 0.3)
            position = (*(turn @ [away, sideways]), up)
            yaw = heading - np.pi / 2
            yield standing(f'furniture_{wall}_{place + 1}', shape, half, position, texture, yaw)


def _piece(rng: np.random.Generator, picture: bool) -> tuple[str, np.ndarray]:
    """Shape and half sizes (along the wall, off the wall, up)."""
    if picture:
        return 'box', np.array([rng.uniform(0.4, 0.7), 0.03, rng.uniform(0.3, 0.45)])
    half = rng.uniform([0.3, 0.2, 0.3], [0.6, 0.35, 0.9])
    shape = str(rng.choice(['box', 'box', 'cylinder', 'ellipsoid']))
    if shape == 'cylinder':
        half[:2] = half[1]
    return shape, half


def _movers(rng: np.random.Generator, still: Sequence[Body]) -> Iterator[Body]:
    """Tumbling bodies on ellipses around the rig, each inside a ball that nothing else touches.

    One that finds no room for its ball stays out.
    """
    balls: list[tuple[np.ndarray, float]] = [(_RIG_CENTRE, _KEEP_OUT)]
    shapes = ('box', 'ellipsoid', 'cylinder')
    patterns = ('checks', 'stripes', 'dots', 'bricks')
    for number, heading in enumerate(_MOVER_HEADINGS):
        shape = shapes[number % 3]
        half = rng.uniform(0.19, 0.3, 3)
        half[1] = half[0] if shape == 'cylinder' else half[1]
        # The ellipse is widest where x and z swing together; y is a quarter turn behind.
        sway, phase = np.array([0.4, 0.5, 0.15]), float(rng.uniform(0, 2 * np.pi))
        radius = float(max(np.hypot(sway[0], sway[2]), sway[1]) + np.linalg.norm(half))
        place = _free_place(rng, np.radians(heading), radius, balls, still)
        if place is None:
            continue
        balls.append((place, radius))
        motion = Motion(
            position=vector(place),
            sway=vector(sway),
            sway_phase=(phase, phase + np.pi / 2, phase),
            sway_period=float(rng.uniform(2.0, 2.8)),
            rotation=phases(rng),
            turn=(0.3, 0.2, float(rng.uniform(0.8, 1.6))),
        )
        texture = material(rng, patterns[number % 4], 0.2, 0.3, 0.9)
        yield Body(f'mover_{number}', shape, vector(half), texture, motion)


def _free_place(
    rng: np.random.Generator,
    heading: float,
    radius: float,
    balls: Sequence[tuple[np.ndarray, float]],
    still: Sequence[Body],
) -> np.ndarray | None:
    """A centre, near a heading from the rig, whose ball is clear of balls and standing bodies."""
    for _ in range(_TRIES):
        angle = heading + rng.uniform(-0.4, 0.4)
        distance = rng.uniform(_KEEP_OUT + radius, 4.5)
        place = _RIG_CENTRE + distance * np.array([np.cos(angle), np.sin(angle), 0.0])
        place[2] = rng.uniform(1.0, 2.0)
        free = all(np.linalg.norm(place - centre) > radius + other for centre, other in balls)
        if free and all(body.distance(place) > radius + _CLEARANCE for body in still):
            return place
    return None

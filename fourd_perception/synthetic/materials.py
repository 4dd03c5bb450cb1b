"""Colours, textures and standing bodies from a random generator: the vocabulary of layouts."""

from __future__ import annotations

from collections.abc import Iterable
import colorsys

from fourd_perception.synthetic.motion import Motion, Vector
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Colour, Texture
import numpy as np


def vector(values: Iterable[float]) -> Vector:
    """Three plain floats, which a file can hold."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def phases(rng: np.random.Generator) -> Vector:
    """Three random phases in radians."""
    return vector(rng.uniform(0, 2 * np.pi, 3))


def colour(hue: float, saturation: float, value: float) -> Colour:
    """RGB in 0..1; the hue wraps around."""
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def material(
    rng: np.random.Generator, pattern: str, period: float, noise: float, vivid: float = 0.6
) -> Texture:
    """A pattern in a light and a dark colour of neighbouring random hues."""
    hue = float(rng.uniform())
    light = colour(hue, 0.35 * vivid, 0.88)
    dark = colour(hue + float(rng.uniform(-0.12, 0.12)), vivid, float(rng.uniform(0.4, 0.65)))
    return Texture(pattern, (light, dark), period, noise, grain_offset(rng))


def grain_offset(rng: np.random.Generator) -> tuple[float, float]:
    """Where in the noise a surface starts, metres."""
    return float(rng.uniform(0, 10)), float(rng.uniform(0, 10))


def standing(
    name: str,
    shape: str,
    half: Iterable[float],
    position: Iterable[float],
    texture: Texture,
    yaw: float = 0.0,
) -> Body:
    """A body that never moves, turned about z by `yaw` radians."""
    motion = Motion(vector(position), rotation=(0.0, 0.0, float(yaw)))
    return Body(name, shape, vector(half), texture, motion)

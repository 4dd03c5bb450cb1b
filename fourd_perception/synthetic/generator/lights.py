"""The lamp or sun of a scene, its sky, and how its ground reflects."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.materials import hsv
from fourd_perception.synthetic.generator.tiles import PER_FAMILY
import numpy as np

_SOFT_SHADOWS, _NO_SHADOWS, _MIRRORS = 0.25, 0.25, 0.15


@dataclass(frozen=True, eq=False)
class Lights:
    """Of B clips, float64.

    lamp:         [B, 3] place in the world, metres; the sun is a lamp far away
    lamp_colour, ambient: [B, 3]
    shadow:       [B] how much of the lamp a shadow takes away
    penumbra:     [B] size of the lamp as a share of its distance
    mirror:       [B] how much the ground reflects where one looks along it
    zenith, horizon: [B, 3] colours of the sky
    clouds:       [B] how much of it they cover
    cloud_tile:   [B] number of their tile in the stock
    """

    lamp: np.ndarray
    lamp_colour: np.ndarray
    ambient: np.ndarray
    shadow: np.ndarray
    penumbra: np.ndarray
    mirror: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    clouds: np.ndarray
    cloud_tile: np.ndarray


def draw_lights(draws: Draws, lamp: np.ndarray) -> Lights:
    """Light for lamps [B, 3] that stand already."""
    balance = draws.uniform('balance', 0.25, 0.85)[:, None]
    warmth = draws.uniform('warmth', -0.12, 0.12)[:, None] * np.array([1.0, 0.1, -1.0])
    bright = draws.uniform('bright', 0.75, 1.35)[:, None]
    kind = draws.choice('sky', (0.6, 0.25, 0.15))
    hue = np.select([kind == 0, kind == 1], [0.58, 0.6], 0.06) + draws.uniform('hue', -0.04, 0.04)
    saturation = np.select([kind == 0, kind == 1], [0.55, 0.06], 0.5)
    saturation = saturation * draws.uniform('saturation', 0.5, 1.5)
    value = draws.uniform('sky value', 0.35, 0.95)
    return Lights(
        lamp=lamp,
        lamp_colour=bright * (1 - balance) * (1 + warmth),
        ambient=bright * balance * (1 - 0.7 * warmth),
        shadow=draws.uniform('shadow', 0.5, 1.0) * ~draws.chance('no shadow', _NO_SHADOWS),
        penumbra=draws.log_uniform('penumbra', 0.01, 0.08)
        * draws.chance('soft shadow', _SOFT_SHADOWS),
        mirror=draws.uniform('mirror', 0.25, 0.9) * draws.chance('mirrors', _MIRRORS),
        zenith=hsv(hue, np.clip(saturation, 0, 1), 0.85 * value),
        horizon=hsv(hue + 0.02, np.clip(0.3 * saturation, 0, 1), np.minimum(1.1 * value, 1)),
        clouds=draws.uniform('clouds', 0.2, 1.0) * draws.chance('cloudy', 0.6),
        cloud_tile=draws.index('cloud tile', PER_FAMILY).astype(float),
    )

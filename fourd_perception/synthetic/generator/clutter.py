"""What stands about in a place: up to 40 things of kits that belong there."""

from __future__ import annotations

from collections.abc import Mapping

from fourd_perception.synthetic.generator.bodies import ABSENT, Bodies
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.kits import NAMES, put
from fourd_perception.synthetic.generator.materials import ANY
import numpy as np

THINGS = 40
LEAST_THINGS = 5
HELD_OUT = {'wedge': 1.0, 'dome': 1.0}
_PRIMITIVES = 'box', 'ball', 'drum', 'wedge', 'dome'
# Half sizes in metres.
_SIZES = {
    'table': (0.45, 0.7, 0.38),
    'chair': (0.25, 0.25, 0.45),
    'shelf': (0.2, 0.6, 0.9),
    'sofa': (0.45, 0.9, 0.4),
    'lamp': (0.2, 0.2, 0.8),
    'plant': (0.3, 0.3, 0.5),
    'tree': (1.4, 1.4, 2.4),
    'fir': (1.0, 1.0, 2.5),
    'car': (2.0, 0.85, 0.72),
    'van': (2.4, 1.0, 1.1),
    'pole': (0.8, 0.8, 1.4),
    'sign': (0.5, 0.4, 1.3),
    'lantern': (1.0, 0.6, 2.5),
    'gate': (0.8, 1.2, 1.3),
    'fence': (0.4, 1.6, 0.5),
    'heap': (0.5, 0.5, 0.6),
    'figure': (0.24, 0.26, 0.86),
}
_PRIMITIVE_SIZE = (0.35, 0.35, 0.35)


def clutter(
    draws: Draws,
    shares: Mapping[str, float],
    low: np.ndarray,
    high: np.ndarray,
    scale: np.ndarray,
    hovering: np.ndarray,
    first_instance: int,
    held_out: bool,
    facing: np.ndarray | None = None,
) -> Bodies:
    """5 to 40 things between low and high [B, 3], most of them on their floor (z of low).

    shares:   how often a kit is taken
    scale:    [B] of all sizes
    hovering: [B] share of the single bodies that hang in the air
    held_out: the shapes that are kept out of training, instead of the shares
    facing:   [B] yaw that the things are turned to, or within a right angle of; else any
    """
    shape = (THINGS,)
    shares = HELD_OUT if held_out else shares
    kit = draws.choice('kit', [shares.get(name, 0.0) for name in NAMES], shape)
    simple = np.isin(kit, [NAMES.index(name) for name in _PRIMITIVES])
    sizes = np.array([_SIZES.get(name, _PRIMITIVE_SIZE) for name in NAMES])[kit]
    own = draws.log_uniform('size', 0.5, 1.8, shape)
    slim = draws.log_uniform('slim', 0.35, 1.8, (THINGS, 3))
    slim = np.where(simple[..., None], slim, slim**0.3)
    half = sizes * slim * np.where(simple, own, own**0.4)[..., None] * scale[:, None, None]
    place = low[:, None] + draws.uniform('place', shape=(THINGS, 3)) * (high - low)[:, None]
    hangs = draws.uniform('hanging', shape=shape) < hovering[:, None]
    hangs &= simple
    place[..., 2] = np.where(hangs, place[..., 2], low[:, None, 2])
    yaw = draws.uniform('yaw', -np.pi, np.pi, shape)
    if facing is not None:
        quarter = 0.5 * np.pi * draws.index('quarter', 4, shape)
        straight = draws.chance('straight', 0.8, shape)
        yaw = np.where(straight, facing[:, None] + quarter + 0.04 * yaw, yaw)
    tilt = draws.uniform('tilt', -np.pi, np.pi, (THINGS, 2)) * hangs[..., None]
    count = draws.log_uniform('count', LEAST_THINGS, THINGS + 1).astype(int)
    kit = np.where(np.arange(THINGS) < count[:, None], kit, ABSENT)
    surface = draws.index('surface', ANY.stop - ANY.start, (THINGS, 2)) + ANY.start
    return put(kit, half, place, yaw, surface, first_instance + np.arange(THINGS), tilt)

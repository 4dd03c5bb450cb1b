"""The kinds of scenes there are."""

from __future__ import annotations

from fourd_perception.synthetic.motion import Motion, Vector
from fourd_perception.synthetic.room import room
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.street import street
import numpy as np

KINDS = ('room', 'street')


def make_scene(kind: str, seconds: float, seed: int) -> tuple[tuple[Body, ...], Vector, Motion]:
    """Bodies, position of the lamp, and trajectory of the base, for one of `KINDS`."""
    rng = np.random.default_rng(seed)
    if kind == 'room':
        return room(rng)
    if kind == 'street':
        return street(rng, seconds)
    raise ValueError(f'a recording of kind {kind!r} is unknown; take one of {KINDS}')

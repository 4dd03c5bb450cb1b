"""Bodies from arrays that may be given for all at once, and what stands about in a place."""

from __future__ import annotations

from fourd_perception.synthetic.generator.bodies import Bodies
import numpy as np


def bodies(
    clips: int,
    count: int,
    kind: np.ndarray | int,
    half: np.ndarray,
    place: np.ndarray,
    turn: np.ndarray | float = 0.0,
    link: np.ndarray | int = 0,
    instance: np.ndarray | int = 0,
    surface: np.ndarray | int = 0,
) -> Bodies:
    """Bodies [B, P] of values that broadcast to it."""

    def whole(value: np.ndarray | int) -> np.ndarray:
        return np.broadcast_to(np.asarray(value), (clips, count)).astype(np.int64)

    def vectors(value: np.ndarray | float) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), (clips, count, 3)).copy()

    return Bodies(
        kind=whole(kind).astype(np.int8),
        half=vectors(half),
        link=whole(link),
        place=vectors(place),
        turn=vectors(turn),
        instance=whole(instance),
        surface=whole(surface),
    )


def vector(x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
    """[..., 3] of three values that broadcast."""
    return np.stack(np.broadcast_arrays(*(np.asarray(c, float) for c in (x, y, z))), -1)

"""Random numbers that are a function of a seed and a name, whatever else is drawn beside them."""

from __future__ import annotations

from collections.abc import Sequence
import math
import zlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Draws:
    """Numbers for B clips at once, each clip's from its own seed.

    Every draw has a name and is a hash (splitmix64) of seed, name and place in the answer: a clip
    gets the same numbers in every batch, and a new draw elsewhere changes none of the others. A
    name stands for one draw; the same name gives the same numbers again.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self._keys = keys

    @staticmethod
    def of(seeds: Sequence[int]) -> Draws:
        """Draws for clips of these seeds."""
        return Draws(_mixed(np.array([s % 2**64 for s in seeds], np.uint64)))

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._keys)

    def of_clips(self, clips: np.ndarray) -> Draws:
        """The draws of some of the clips, by index or mask."""
        return Draws(self._keys[clips])

    def within(self, name: str) -> Draws:
        """Draws of their own for a part of the scene, so that names may repeat there."""
        return Draws(_mixed(self._keys ^ _stream(name)))

    def uniform(
        self, name: str, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()
    ) -> np.ndarray:
        """Evenly from low to high, float64 [B, *shape]."""
        count = math.prod(shape)
        start = _mixed(self._keys ^ _stream(name))
        with np.errstate(over='ignore'):
            places = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
            bits = _mixed(start[:, None] + places)
        share = (bits >> np.uint64(11)).astype(float) * 2.0**-53
        return (low + (high - low) * share).reshape(len(self), *shape)

    def log_uniform(
        self, name: str, low: float, high: float, shape: tuple[int, ...] = ()
    ) -> np.ndarray:
        """From low to high, every factor as likely as another, float64 [B, *shape]."""
        return np.exp(self.uniform(name, math.log(low), math.log(high), shape))

    def chance(self, name: str, share: float, shape: tuple[int, ...] = ()) -> np.ndarray:
        """True in a share of all draws, bool [B, *shape]."""
        return self.uniform(name, shape=shape) < share

    def index(self, name: str, count: int, shape: tuple[int, ...] = ()) -> np.ndarray:
        """A whole number from 0 to count - 1, int64 [B, *shape]."""
        return self.uniform(name, 0, count, shape).astype(np.int64)

    def choice(
        self, name: str, shares: Sequence[float], shape: tuple[int, ...] = ()
    ) -> np.ndarray:
        """Index of one of several things, each drawn with its share of the sum, [B, *shape]."""
        edges = np.cumsum(shares) / np.sum(shares)
        return np.searchsorted(edges[:-1], self.uniform(name, shape=shape), side='right')


def _stream(name: str) -> np.uint64:
    return _mixed(np.array([zlib.crc32(name.encode())], np.uint64))[0]


def _mixed(bits: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64: every input bit flips every output bit half of the time."""
    with np.errstate(over='ignore'):
        bits = (bits + _GOLDEN) & np.uint64(0xFFFFFFFFFFFFFFFF)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

"""The bodies of many scenes side by side, and how they are put together from parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.generator.links import Links, rotations
import numpy as np

ABSENT, BOX, ELLIPSOID, CYLINDER, WEDGE, DOME = range(-1, 5)
# The last two are kept out of training.
HELD_OUT_SHAPES = WEDGE, DOME


@dataclass(frozen=True, eq=False)
class Bodies:
    """P convex bodies in each of B clips, held by L links (the first is the world).

    kind:     int8 [B, P], one of the constants above
    half:     float64 [B, P, 3] half sizes in metres
    link:     int64 [B, P] the frame that carries the body
    place, turn: float64 [B, P, 3] centre and (roll, pitch, yaw) in that frame
    instance: int64 [B, P]; 0 belongs to the background
    surface:  int64 [B, P]: bodies of equal numbers wear one material
    """

    kind: np.ndarray
    half: np.ndarray
    link: np.ndarray
    place: np.ndarray
    turn: np.ndarray
    instance: np.ndarray
    surface: np.ndarray

    @property
    def count(self) -> int:
        """Bodies of a clip, absent ones included."""
        return self.kind.shape[1]

    def local_poses(self) -> np.ndarray:
        """link_from_body [B, P, 4, 4]."""
        return transform(rotations(self.turn), self.place)

    def without(self, gone: np.ndarray) -> Bodies:
        """The same with some bodies [B, P] absent."""
        return replace(self, kind=np.where(gone, ABSENT, self.kind).astype(np.int8))

    @staticmethod
    def beside(parts: Sequence[Bodies]) -> Bodies:
        """All bodies of the same clips, one list after another."""
        return Bodies(
            **{
                f.name: np.concatenate([getattr(p, f.name) for p in parts], axis=1)
                for f in fields(Bodies)
            }
        )


def world_poses(bodies: Bodies, links: Links, seconds: np.ndarray) -> np.ndarray:
    """world_from_body [B, P, S, 4, 4] at seconds [B, S]."""
    carried = links.poses(seconds)
    held = np.take_along_axis(carried, bodies.link[:, :, None, None, None], axis=1)
    return held @ bodies.local_poses()[:, :, None]

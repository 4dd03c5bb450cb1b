"""Everything about B scenes, drawn and ready to be rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TYPE_CHECKING, TypeVar

from fourd_perception.synthetic.generator.bodies import ABSENT, Bodies
from fourd_perception.synthetic.generator.lights import Lights
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.materials import Materials
from fourd_perception.synthetic.generator.photograph import Cameras
import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Values = TypeVar('Values', bound='DataclassInstance')


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A place before cameras and movers come, B clips.

    bodies:  standing things, see `Bodies`; the first is the ground
    lamp:    float64 [B, 3] metres
    spot:    float64 [B, 3] where the rig is in the middle of the clip
    heading: float64 [B] where it looks then, about z
    reach:   float64 [B] metres, about how far things are
    extent:  float64 [B, 2] metres, half of the free space along x and y
    """

    bodies: Bodies
    lamp: np.ndarray
    spot: np.ndarray
    heading: np.ndarray
    reach: np.ndarray
    extent: np.ndarray


@dataclass(frozen=True, eq=False)
class Scenes:
    """B scenes with V cameras and T instants.

    rig:        one link a clip that carries the cameras
    mounts:     float64 [B, V, 4, 4] rig_from_camera
    intrinsics: float64 [B, V, 3, 3]
    seconds:    float64 [B, T], 0 in the middle
    exposure:   float64 [B] seconds that the shutter is open; 0 without motion blur
    tracked:    float64 [B, N, 4] where the tracks start, see `tracks`
    """

    bodies: Bodies
    links: Links
    materials: Materials
    lights: Lights
    cameras: Cameras
    rig: Links
    mounts: np.ndarray
    intrinsics: np.ndarray
    seconds: np.ndarray
    exposure: np.ndarray
    tracked: np.ndarray

    def of_clips(self, clips: slice) -> Scenes:
        """Some of the scenes, without bodies that none of them has."""
        scenes = some(self, clips)
        used = (scenes.bodies.kind != ABSENT).any(0)
        bodies = Bodies(**{name: v[:, used] for name, v in vars(scenes.bodies).items()})
        return replace(scenes, bodies=bodies)


def some(values: Values, clips: slice | np.ndarray) -> Values:
    """The rows of some clips in all arrays of a value, and of values in it."""

    def part(value: Any) -> Any:
        return value[clips] if isinstance(value, np.ndarray) else some(value, clips)

    return replace(values, **{f.name: part(getattr(values, f.name)) for f in fields(values)})


def stacked(parts: Sequence[Surroundings], order: np.ndarray) -> Surroundings:
    """Surroundings of different clips as one batch, put into an order."""
    count = max(p.bodies.count for p in parts)
    whole = [replace(p, bodies=_padded(p.bodies, count)) for p in parts]
    return some(_joined(whole), order)


def _joined(parts: Sequence[Values]) -> Values:
    """The rows of different clips one after another."""

    def column(name: str) -> Any:
        values = [getattr(p, name) for p in parts]
        return np.concatenate(values) if isinstance(values[0], np.ndarray) else _joined(values)

    return replace(parts[0], **{f.name: column(f.name) for f in fields(parts[0])})


def _padded(bodies: Bodies, count: int) -> Bodies:
    """The same bodies and absent ones up to a count."""
    out = {}
    for name, values in vars(bodies).items():
        fill = {'kind': ABSENT, 'half': 1}.get(name, 0)
        widths = [(0, 0), (0, count - bodies.count)] + [(0, 0)] * (values.ndim - 2)
        out[name] = np.pad(values, widths, constant_values=fill)
    return Bodies(**out)

"""Everything about B scenes, drawn and ready to be rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TYPE_CHECKING, TypeVar

from fourd_perception.synthetic.generator.bodies import ABSENT, Bodies
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.materials import Materials
import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, eq=False)
class Lights:
    """Lamp and sky of B clips, float64.

    lamp:            [B, 3] place in the world, metres; the sun is a lamp far away
    lamp_colour, ambient: [B, 3]
    shadow:          [B] how much of the lamp a shadow takes away
    zenith, horizon: [B, 3] colours of the sky
    """

    lamp: np.ndarray
    lamp_colour: np.ndarray
    ambient: np.ndarray
    shadow: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a place consists of before cameras and movers come, B clips; see `Bodies`.

    bodies, links: standing things; the first link is the world
    lights:        lamp and sky
    spot:          float64 [B, 3] where the rig is in the middle of the clip
    heading:       float64 [B] where it looks then, about z
    depth:         float64 [B] metres, what is usually seen from there
    """

    bodies: Bodies
    links: Links
    lights: Lights
    spot: np.ndarray
    heading: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True, eq=False)
class Scenes:
    """B scenes with V cameras and T instants.

    rig:          one link a clip that carries the cameras
    mounts:       float64 [B, V, 4, 4] rig_from_camera
    intrinsics:   float64 [B, V, 3, 3]
    seconds:      float64 [B, T]
    exposure:     float64 [B] seconds that the shutter is open; 0 without motion blur
    """

    bodies: Bodies
    links: Links
    materials: Materials
    lights: Lights
    rig: Links
    mounts: np.ndarray
    intrinsics: np.ndarray
    seconds: np.ndarray
    exposure: np.ndarray

    def of_clips(self, clips: slice) -> Scenes:
        """Some of the scenes."""
        return _some(self, clips)


def padded(bodies: Bodies, count: int) -> Bodies:
    """The same bodies and absent ones up to a count."""
    missing = count - bodies.count
    out = {}
    for f in fields(Bodies):
        values = getattr(bodies, f.name)
        fill = ABSENT if f.name == 'kind' else 1 if f.name == 'half' else 0
        widths = [(0, 0), (0, missing)] + [(0, 0)] * (values.ndim - 2)
        out[f.name] = np.pad(values, widths, constant_values=fill)
    return Bodies(**out)


def stacked(parts: Sequence[Surroundings], order: np.ndarray) -> Surroundings:
    """Surroundings of different clips as one batch, put into an order."""
    count = max(p.bodies.count for p in parts)
    bodies = [padded(p.bodies, count) for p in parts]
    links = max(p.links.place.shape[1] for p in parts)
    more = [
        Links.beside([p.links, Links.still(len(p.depth), links - p.links.place.shape[1])])
        for p in parts
    ]
    return Surroundings(
        bodies=_joined(bodies, order),
        links=_joined(more, order),
        lights=_joined([p.lights for p in parts], order),
        spot=np.concatenate([p.spot for p in parts])[order],
        heading=np.concatenate([p.heading for p in parts])[order],
        depth=np.concatenate([p.depth for p in parts])[order],
    )


Values = TypeVar('Values', bound='DataclassInstance')


def _some(values: Values, clips: slice) -> Values:
    """The rows of some clips in all arrays of a value, and of values in it."""

    def part(value: Any) -> Any:
        return _some(value, clips) if is_dataclass(value) else value[clips]

    return replace(values, **{f.name: part(getattr(values, f.name)) for f in fields(values)})


def _joined(parts: Sequence[Values], order: np.ndarray) -> Values:
    """The rows of different clips as one batch, put into an order."""
    return replace(
        parts[0],
        **{
            f.name: np.concatenate([getattr(p, f.name) for p in parts])[order]
            for f in fields(parts[0])
        },
    )

"""Standing things put together from a few bodies: furniture, lamps, plants, vehicles, signs."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.bodies import (
    ABSENT,
    Bodies,
    BOX,
    CYLINDER,
    DOME,
    ELLIPSOID,
    WEDGE,
)
from fourd_perception.synthetic.generator.things import bodies, vector
import numpy as np

PARTS = 6
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """A body in a thing whose half sizes are 1: centre and half sizes as shares of them.

    A rolled cylinder lies along y, as an axle does; its radius is then a share of the height.
    slot: which of the thing's two materials it wears
    """

    kind: int
    centre: Triple
    half: Triple
    slot: int = 0
    rolled: bool = False


def _legs(x: float, y: float, z: float, high: float) -> tuple[Part, ...]:
    return tuple(
        Part(BOX, (sx * x, sy * y, z), (0.05, 0.05, high), 1) for sx in (-1, 1) for sy in (-1, 1)
    )


def _wheels() -> tuple[Part, ...]:
    return tuple(
        Part(CYLINDER, (x, y, -0.68), (0.32, 0.32, 0.14), 1, rolled=True)
        for x in (-0.6, 0.6)
        for y in (-0.86, 0.86)
    )


KITS: dict[str, tuple[Part, ...]] = {
    'box': (Part(BOX, (0, 0, 0), (1, 1, 1)),),
    'ball': (Part(ELLIPSOID, (0, 0, 0), (1, 1, 1)),),
    'drum': (Part(CYLINDER, (0, 0, 0), (1, 1, 1)),),
    'wedge': (Part(WEDGE, (0, 0, 0), (1, 1, 1)),),
    'dome': (Part(DOME, (0, 0, -1), (1, 1, 2)),),
    'table': (Part(BOX, (0, 0, 0.94), (1, 1, 0.06)), *_legs(0.92, 0.9, -0.06, 0.94)),
    'chair': (
        Part(BOX, (0, 0, -0.05), (1, 1, 0.07)),
        Part(BOX, (-0.9, 0, 0.5), (0.1, 1, 0.5)),
        *_legs(0.88, 0.88, -0.55, 0.45),
    ),
    'shelf': (
        Part(BOX, (-0.9, 0, 0), (0.1, 1, 1), 1),
        *(Part(BOX, (0, 0, z), (1, 1, 0.03)) for z in (-0.9, -0.4, 0.1, 0.55, 0.97)),
    ),
    'sofa': (
        Part(BOX, (0.1, 0, -0.5), (0.9, 1, 0.5)),
        Part(BOX, (-0.8, 0, 0.2), (0.2, 1, 0.8)),
        Part(BOX, (0.1, 0.9, -0.1), (0.9, 0.1, 0.6), 1),
        Part(BOX, (0.1, -0.9, -0.1), (0.9, 0.1, 0.6), 1),
    ),
    'lamp': (
        Part(CYLINDER, (0, 0, -0.97), (0.6, 0.6, 0.03), 1),
        Part(CYLINDER, (0, 0, -0.15), (0.06, 0.06, 0.85), 1),
        Part(CYLINDER, (0, 0, 0.8), (1, 1, 0.2)),
    ),
    'plant': (
        Part(CYLINDER, (0, 0, -0.7), (0.5, 0.5, 0.3), 1),
        Part(ELLIPSOID, (0, 0, 0.2), (0.7, 0.8, 0.6)),
        Part(ELLIPSOID, (0.35, 0.3, 0.5), (0.6, 0.5, 0.5)),
        Part(ELLIPSOID, (-0.4, -0.3, 0.4), (0.5, 0.6, 0.5)),
    ),
    'tree': (
        Part(CYLINDER, (0, 0, -0.5), (0.12, 0.12, 0.5), 1),
        Part(ELLIPSOID, (0, 0, 0.4), (1, 0.95, 0.6)),
        Part(ELLIPSOID, (0.4, 0.3, 0.1), (0.6, 0.6, 0.4)),
        Part(ELLIPSOID, (-0.4, -0.2, 0.6), (0.6, 0.65, 0.4)),
    ),
    'fir': (
        Part(CYLINDER, (0, 0, -0.8), (0.15, 0.15, 0.2), 1),
        Part(ELLIPSOID, (0, 0, -0.3), (1, 1, 0.4)),
        Part(ELLIPSOID, (0, 0, 0.2), (0.7, 0.7, 0.4)),
        Part(ELLIPSOID, (0, 0, 0.65), (0.4, 0.4, 0.4)),
    ),
    'car': (
        Part(BOX, (0, 0, -0.25), (1, 0.95, 0.42)),
        Part(BOX, (-0.1, 0, 0.5), (0.55, 0.85, 0.45), 1),
        *_wheels(),
    ),
    'van': (
        Part(BOX, (-0.15, 0, 0.15), (0.85, 0.97, 0.83)),
        Part(BOX, (0.85, 0, -0.3), (0.15, 0.9, 0.38), 1),
        *_wheels(),
    ),
    'pole': (Part(CYLINDER, (0, 0, 0), (0.06, 0.06, 1)),),
    'sign': (
        Part(CYLINDER, (0, 0, -0.1), (0.05, 0.05, 0.9), 1),
        Part(BOX, (0.05, 0, 0.75), (0.03, 1, 0.25)),
    ),
    'lantern': (
        Part(CYLINDER, (0, 0, 0), (0.07, 0.07, 1), 1),
        Part(BOX, (0.5, 0, 0.98), (0.5, 0.05, 0.02), 1),
        Part(ELLIPSOID, (0.9, 0, 0.95), (0.2, 0.2, 0.04)),
    ),
    'gate': (
        Part(BOX, (0, -0.9, 0), (0.3, 0.1, 1)),
        Part(BOX, (0, 0.9, 0), (0.3, 0.1, 1)),
        Part(BOX, (0, 0, 0.9), (0.3, 1, 0.1), 1),
    ),
    'fence': (
        *(Part(BOX, (0, y, 0), (0.1, 0.04, 1), 1) for y in (-0.96, -0.33, 0.33, 0.96)),
        Part(BOX, (0, 0, 0.6), (0.06, 1, 0.08)),
        Part(BOX, (0, 0, -0.3), (0.06, 1, 0.08)),
    ),
    'heap': (
        Part(BOX, (0, 0, -0.65), (1, 1, 0.35)),
        Part(BOX, (0.1, -0.1, 0), (0.7, 0.75, 0.3), 1),
        Part(BOX, (-0.1, 0.15, 0.6), (0.5, 0.45, 0.3)),
    ),
    'figure': (
        Part(ELLIPSOID, (0, 0, 0.86), (0.35, 0.35, 0.14), 1),
        Part(ELLIPSOID, (0, 0, 0.4), (0.6, 0.9, 0.36)),
        Part(CYLINDER, (0, 0.4, -0.5), (0.3, 0.3, 0.52), 1),
        Part(CYLINDER, (0, -0.4, -0.5), (0.3, 0.3, 0.52), 1),
        Part(CYLINDER, (0, 0.95, 0.2), (0.2, 0.2, 0.42)),
        Part(CYLINDER, (0, -0.95, 0.2), (0.2, 0.2, 0.42)),
    ),
}


def put(
    kit: np.ndarray,
    half: np.ndarray,
    foot: np.ndarray,
    yaw: np.ndarray,
    surface: np.ndarray,
    instance: np.ndarray | int,
    tilt: np.ndarray | None = None,
) -> Bodies:
    """Things [B, N] that stand on a foot, as bodies [B, N * PARTS].

    kit:      [B, N] index in `KITS`, or `ABSENT`
    half:     [B, N, 3] half sizes of the whole thing
    foot:     [B, N, 3] middle of its lower side
    yaw:      [B, N]
    surface:  [B, N, 2] materials of its two slots
    instance: [B, N]
    tilt:     [B, N, 2] roll and pitch of things of one body; upright without
    """
    clips, count = kit.shape
    table = _TABLE
    kind = np.where(kit[..., None] == ABSENT, ABSENT, table.kind[kit])
    scale = half[:, :, None]
    centre = table.centre[kit] * scale
    cos, sin = np.cos(yaw)[..., None], np.sin(yaw)[..., None]
    place = vector(
        cos * centre[..., 0] - sin * centre[..., 1],
        sin * centre[..., 0] + cos * centre[..., 1],
        centre[..., 2] + scale[..., 2],
    )
    sizes = table.half[kit] * scale
    rolled = table.rolled[kit]
    axle = table.half[kit] * np.stack([scale[..., 2], scale[..., 2], scale[..., 1]], -1)
    sizes = np.where(rolled[..., None], axle, sizes)
    round_ = kind == CYLINDER
    sizes[..., 0] = np.where(round_, sizes[..., :2].min(-1), sizes[..., 0])
    sizes[..., 1] = np.where(round_, sizes[..., 0], sizes[..., 1])
    turn = vector(np.where(rolled, 0.5 * np.pi, 0.0), 0.0, yaw[..., None])
    if tilt is not None:
        alone = (table.kind[kit][..., 1:] == ABSENT).all(-1)
        turn[..., :2] += (tilt * alone[..., None])[:, :, None]
    number = np.broadcast_to(np.asarray(instance), (clips, count))
    return bodies(
        clips,
        count * PARTS,
        kind.reshape(clips, -1),
        sizes.reshape(clips, -1, 3),
        (place + foot[:, :, None]).reshape(clips, -1, 3),
        turn.reshape(clips, -1, 3),
        instance=np.repeat(number, PARTS, axis=1),
        surface=np.take_along_axis(surface, table.slot[kit], axis=2).reshape(clips, -1),
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """All kits, filled up with absent parts: [kits, PARTS, ...]."""

    kind: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    slot: np.ndarray
    rolled: np.ndarray


def _table() -> _Table:
    missing = Part(ABSENT, (0, 0, 0), (1, 1, 1))
    rows = [(*parts, *[missing] * (PARTS - len(parts))) for parts in KITS.values()]
    return _Table(
        **{
            name: np.array([[getattr(p, name) for p in row] for row in rows])
            for name in ('kind', 'centre', 'half', 'slot', 'rolled')
        }
    )


_TABLE = _table()
NAMES = tuple(KITS)

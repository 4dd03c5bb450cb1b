"""Bodies, and what a pinhole camera sees of them: exact depth, surface points, colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.motion import Motion, Vector
from fourd_perception.synthetic.shapes import Shape, SHAPES
from fourd_perception.synthetic.textures import noise, Texture
import numpy as np

SKY = -1
_NEAREST = 1e-6
# Rays at a time: what is computed on the way stays in the caches.
_BLOCK = 4096
_CORNERS = np.array([[x, y, z, 1] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]).T


@dataclass(frozen=True)
class Body:
    """A rigid body: a shape with half sizes in metres, a texture, and its pose over time."""

    name: str
    shape: str
    half_size: Vector
    texture: Texture
    motion: Motion

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(
                f'body {self.name!r} has the unknown shape {self.shape!r}; '
                f'take one of {tuple(SHAPES)}'
            )
        if min(self.half_size) <= 0:
            raise ValueError(f'body {self.name!r} has half sizes {self.half_size}; need > 0')
        if self.shape == 'cylinder' and self.half_size[0] != self.half_size[1]:
            raise ValueError(
                f'cylinder {self.name!r} has radii {self.half_size[:2]}; make the two equal'
            )

    @property
    def form(self) -> Shape:
        """The geometry behind the name of the shape."""
        return SHAPES[self.shape]

    def distance(self, points: np.ndarray, seconds: float = 0.0) -> np.ndarray:
        """Signed distance [...] in metres of world points [..., 3], negative inside the body."""
        points = np.asarray(points, float)
        body_from_world = invert(self.motion.pose(seconds))
        local = body_from_world[:3, :3] @ points.reshape(-1, 3).T + body_from_world[:3, 3:]
        return self.form.distance(local, np.array(self.half_size)).reshape(points.shape[:-1])


@dataclass(frozen=True, eq=False)
class Hits:
    """Where rays meet the scene. N rays; z along the optical axis.

    body:  int [N], index of the body met, `SKY` where none is
    depth: float64 [N], metres along z, NaN where no body is met
    """

    body: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True, eq=False)
class _Placed:
    """A body before a camera: half sizes [3], pose, and the (x, y) of rays that may meet it."""

    number: int
    body: Body
    half: np.ndarray
    body_from_camera: np.ndarray
    low: np.ndarray
    high: np.ndarray


def cast(
    bodies: Sequence[Body], poses: np.ndarray, world_from_camera: np.ndarray, rays: np.ndarray
) -> Hits:
    """Nearest body along every ray.

    poses: [B, 4, 4] world_from_body; rays: [2, N], the (x, y) of directions (x, y, 1) in the
    optical frame, so that the length along a ray is the depth along z.
    """
    depth = np.full(rays.shape[1], np.inf)
    found = np.full(rays.shape[1], SKY)
    placed = list(_place(bodies, poses, world_from_camera))
    low, high = np.array([p.low for p in placed]), np.array([p.high for p in placed])
    for start in range(0, rays.shape[1], _BLOCK):
        part = slice(start, start + _BLOCK)
        block = rays[:, part]
        close = (low <= block.max(axis=1)) & (high >= block.min(axis=1))
        for k in np.flatnonzero(close.all(axis=1)):
            _meet(placed[k], block, depth[part], found[part])
    return Hits(found, np.where(found == SKY, np.nan, depth))


def _place(
    bodies: Sequence[Body], poses: np.ndarray, world_from_camera: np.ndarray
) -> Iterator[_Placed]:
    """Bodies before the camera, each with the outline of its bounding box in the image."""
    for number, (body, pose) in enumerate(zip(bodies, poses)):
        half = np.array(body.half_size)
        body_from_camera = invert(pose) @ world_from_camera
        corners = invert(body_from_camera) @ (_CORNERS * np.append(half, 1.0)[:, None])
        if corners[2].max() <= 0:
            continue
        low, high = np.full(2, -np.inf), np.full(2, np.inf)
        if corners[2].min() > 1e-3:
            spots = corners[:2] / corners[2]
            low, high = spots.min(axis=1), spots.max(axis=1)
        yield _Placed(number, body, half, body_from_camera, low, high)


def _meet(placed: _Placed, rays: np.ndarray, depth: np.ndarray, found: np.ndarray) -> None:
    """Put a body into `depth` and `found` [N] where it is nearer than what is there."""
    (x0, y0), (x1, y1) = placed.low, placed.high
    chosen = np.flatnonzero((rays[0] >= x0) & (rays[0] <= x1) & (rays[1] >= y0) & (rays[1] <= y1))
    directions = _directions(placed.body_from_camera, rays[:, chosen])
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        origin = placed.body_from_camera[:3, 3]
        near, far = placed.body.form.interval(origin, directions, placed.half)
        length = np.where(near > _NEAREST, near, far)
        nearer = (near <= far) & (length > _NEAREST) & (length < depth[chosen])
    depth[chosen[nearer]] = length[nearer]
    found[chosen[nearer]] = placed.number


def _directions(body_from_camera: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Directions [3, N] of rays in the frame of a body."""
    return body_from_camera[:3, :2] @ rays + body_from_camera[:3, 2:3]


def shade(
    bodies: Sequence[Body],
    poses: np.ndarray,
    world_from_camera: np.ndarray,
    rays: np.ndarray,
    hits: Hits,
    ray_spacing: float,
    light: np.ndarray,
) -> np.ndarray:
    """RGB float32 [3, N] in 0..1: textures under one lamp and an even fill light.

    ray_spacing: distance of neighbouring rays at depth 1; light: position [3] in the world.
    """
    colour = np.empty((3, rays.shape[1]), np.float32)
    for number in (np.flatnonzero(np.bincount(hits.body - SKY)) + SKY).tolist():
        rest = np.flatnonzero(hits.body == number)
        for chosen in np.split(rest, range(_BLOCK, len(rest), _BLOCK)):
            part, depth = rays[:, chosen], hits.depth[chosen]
            if number == SKY:
                colour[:, chosen] = _sky(_directions(world_from_camera, part))
                continue
            body_from_world = invert(poses[number])
            lamp = body_from_world[:3, :3] @ light + body_from_world[:3, 3]
            body_from_camera = body_from_world @ world_from_camera
            colour[:, chosen] = _shade_body(
                bodies[number], body_from_camera, part, depth, ray_spacing, lamp
            )
    return np.clip(colour, 0.0, 1.0)


def _shade_body(
    body: Body,
    body_from_camera: np.ndarray,
    rays: np.ndarray,
    depth: np.ndarray,
    ray_spacing: float,
    lamp: np.ndarray,
) -> np.ndarray:
    """RGB [3, N] of one body's surface points; the lamp in its own frame."""
    directions = _directions(body_from_camera, rays)
    points = body_from_camera[:3, 3:] + directions * depth
    normal, uv = body.form.skin(points, np.array(body.half_size))
    slope = -(normal * directions).sum(axis=0)
    slant = np.abs(slope) / np.sqrt((directions**2).sum(axis=0))
    # Between the short and the long side of the ellipse that a sample covers.
    footprint = depth * ray_spacing / np.sqrt(np.maximum(slant, 0.05))
    to_lamp = lamp[:, None] - points
    lit = (normal * to_lamp).sum(axis=0) / np.sqrt((to_lamp**2).sum(axis=0))
    # A surface shows the side that faces the camera.
    lit = np.maximum(lit * np.sign(slope), 0.0).astype(np.float32)
    return body.texture.colour(uv, footprint) * (0.5 + 0.6 * lit)


def _sky(directions: np.ndarray) -> np.ndarray:
    """Blue with clouds, as if at infinite distance; directions [3, N] in the world."""
    up = directions[2] / np.sqrt((directions**2).sum(axis=0))
    height = np.clip(up, 0.02, 1.0)
    cloud = noise(0.08 * directions[:2] / np.maximum(directions[2], 0.05), np.full_like(up, 0.004))
    pale, blue = np.array([[0.86, 0.89, 0.93], [0.36, 0.56, 0.86]])[:, :, None]
    clear = pale + (blue - pale) * np.sqrt(height)
    return clear + (0.96 - clear) * np.clip(1.6 * cloud, 0.0, 1.0) * np.clip(4 * up, 0.0, 1.0)

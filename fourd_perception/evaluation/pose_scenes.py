"""A wall and cards seen by a camera at two instants: depth and flow by formula, no pictures.

A slanted wall fills the view; cards that face the camera hang before it: small ones near, larger
ones further off, and between them three side by side that move on their own.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch.nn import functional as F

FIELD_OF_VIEW = 60.0  # horizontal, degrees
TURN = 2.0  # of the camera from instant to instant, degrees
NEAR, FAR, MOVING = 4, 8, 3  # cards
NEAR_DISTANCE, FAR_DISTANCE = (1.0, 1.5), (1.5, 5.0)
WALL, FARTHEST = 4.0, 50.0  # distances
DRIFT = (3.0, 10.0)  # of moving cards beside the camera's motion, pixels


@dataclass(frozen=True, eq=False)
class PosePairs:
    """B pairs of images of H x W pixels, the older first.

    depth:      [B, 2, H, W]
    flow:       [B, 2, 2, H, W], pixels, from each instant to the other
    moving:     bool [B, 2, H, W]
    intrinsics: [3, 3]
    older_from_newer: float64 [B, 4, 4]
    median:     [B], depth of the older image
    """

    depth: torch.Tensor
    flow: torch.Tensor
    moving: torch.Tensor
    intrinsics: torch.Tensor
    older_from_newer: torch.Tensor
    median: torch.Tensor


def pose_pairs(
    count: int,
    seed: int,
    size: tuple[int, int],
    baseline: float,
    movers: float,
    mover_distance: tuple[float, float] = (1.5, 3.0),
) -> PosePairs:
    """Draw `count` pairs.

    size: height and width; baseline: translation, in median depths; movers: share of the older
    image that moving cards cover, about; mover_distance: the range that they hang in
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    focal = width / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    intrinsics = torch.tensor(
        [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]],
        dtype=torch.float64,
    )
    scene = _draw(count, generator, (height, width), focal, movers, mover_distance)
    rays = _rays(intrinsics, height, width)
    identity = torch.eye(4, dtype=torch.float64).expand(count, 4, 4)
    median = _cast(scene, rays, identity, 0)[0].flatten(1).median(dim=1).values
    ways = F.normalize(_normal(generator, count, 3), dim=1)
    motion = identity.clone()
    motion[:, :3, :3] = rotation_by(TURN * F.normalize(_normal(generator, count, 3), dim=1))
    motion[:, :3, 3] = baseline * median[:, None] * ways
    depth, flow, moving = [], [], []
    poses = (identity, motion)
    for at in (0, 1):
        z, points, moves = _cast(scene, rays, poses[at], at)
        there = points + (1 - 2 * at) * moves
        there = (there - poses[1 - at][:, None, :3, 3]) @ poses[1 - at][:, :3, :3]
        pixels = there[..., :2] / there[..., 2:] * focal + intrinsics[:2, 2]
        origin = rays[:, :2] * focal + intrinsics[:2, 2]
        depth.append(z)
        flow.append((pixels - origin).mT.unflatten(2, size))
        moving.append((moves != 0).any(dim=2))
    return PosePairs(
        depth=torch.stack(depth, dim=1).unflatten(2, size).float(),
        flow=torch.stack(flow, dim=1).float(),
        moving=torch.stack(moving, dim=1).unflatten(2, size),
        intrinsics=intrinsics.float(),
        older_from_newer=motion,
        median=median.float(),
    )


def smooth_field(
    generator: torch.Generator, shape: tuple[int, ...], size: tuple[int, int], cells: int
) -> torch.Tensor:
    """Unit normal noise [*shape, H, W], smooth over about 1 / cells of the width."""
    rows = max(2, round(cells * size[0] / size[1]))
    coarse = torch.randn(1, math.prod(shape), rows + 1, cells + 1, generator=generator)
    field = F.interpolate(coarse, size=size, mode='bicubic', align_corners=True)
    return (field / field.std(dim=(2, 3), keepdim=True).mean()).view(*shape, *size)


def rotation_by(degrees: torch.Tensor) -> torch.Tensor:
    """[B, 3, 3] of rotation vectors [B, 3]."""
    x, y, z = torch.deg2rad(degrees).unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1)
    return torch.linalg.matrix_exp(cross.unflatten(1, (3, 3)))


@dataclass(frozen=True, eq=False)
class _Scene:
    """wall: [B, 3], n with n . p = 1; cards: centre and half size [B, N, 3]; moves [B, N, 3]."""

    wall: torch.Tensor
    centre: torch.Tensor
    half: torch.Tensor
    moves: torch.Tensor


def _draw(
    count: int,
    generator: torch.Generator,
    size: tuple[int, int],
    focal: float,
    movers: float,
    mover_distance: tuple[float, float],
) -> _Scene:
    tall, wide = size[0] / focal, size[1] / focal
    slant = _uniform(generator, -0.8, 0.8, count, 2) / WALL
    wall = torch.cat([slant, torch.full((count, 1), 1 / WALL, dtype=torch.float64)], dim=1)
    side = math.sqrt(movers / MOVING * tall * wide) / 2
    z = torch.cat(
        [
            _uniform(generator, *NEAR_DISTANCE, count, NEAR),
            _uniform(generator, *FAR_DISTANCE, count, FAR),
            _uniform(generator, *mover_distance, count, MOVING),
        ],
        dim=1,
    )
    half = torch.cat(
        [
            _uniform(generator, 0.03, 0.08, count, NEAR, 2),
            _uniform(generator, 0.05, 0.2, count, FAR, 2),
            torch.full((count, MOVING, 2), side, dtype=torch.float64),
        ],
        dim=1,
    )
    place = _uniform(generator, -0.5, 0.5, count, z.shape[1], 2) * torch.tensor([wide, tall])
    # Side by side, so that their share of the image is as it is asked for.
    place[:, -MOVING:, 0] = (torch.arange(MOVING) - (MOVING - 1) / 2) * wide / MOVING
    place[:, -MOVING:, 1] *= 1 - 2 * side / tall
    is_moving = torch.arange(z.shape[1])[:, None] >= NEAR + FAR
    z = z[..., None]
    heading = F.normalize(_normal(generator, *z.shape[:2], 3), dim=2)
    drift = _uniform(generator, *DRIFT, *z.shape) / focal * z
    moves = torch.where(is_moving, drift * heading, 0.0)
    return _Scene(wall, torch.cat([place * z, z], dim=2), half * z, moves)


def _cast(
    scene: _Scene, rays: torch.Tensor, world_from_camera: torch.Tensor, at: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Depth [B, P], points in the world and their own motion to come [B, P, 3]."""
    ways = rays @ world_from_camera[:, :3, :3].mT
    eye = world_from_camera[:, :3, 3]
    depth = (1 - (scene.wall * eye).sum(1, keepdim=True)) / (ways @ scene.wall[..., None])[..., 0]
    depth = torch.where(depth > 0, depth, FARTHEST).clamp(max=FARTHEST)
    card = torch.full(depth.shape, -1)
    x, y, z = ways.unbind(2)
    for i in range(scene.centre.shape[1]):
        from_eye = scene.centre[:, i] + at * scene.moves[:, i] - eye
        there = from_eye[:, 2:] / z
        hit = (there > 0) & (there < depth)
        hit &= (there * x - from_eye[:, :1]).abs() < scene.half[:, i, :1]
        hit &= (there * y - from_eye[:, 1:2]).abs() < scene.half[:, i, 1:]
        depth, card = depth.where(~hit, there), card.where(~hit, i)
    moves = F.pad(scene.moves, (0, 0, 0, 1))  # the wall, last, stands still
    chosen = moves.gather(1, (card % moves.shape[1])[..., None].expand(-1, -1, 3))
    return depth, eye[:, None] + depth[..., None] * ways, chosen


def _rays(intrinsics: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """[P, 3]: points at depth 1."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64),
        torch.arange(width, dtype=torch.float64),
        indexing='ij',
    )
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).flatten(0, 1)
    return pixels @ torch.linalg.inv(intrinsics).mT


def _normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> torch.Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

"""How far flow is from what a motion explains: along and across the epipolar lines.

A wrong depth moves a pixel's expected target along its epipolar line and never across it. Kept
apart, the two components let rotation and direction rest on what depth cannot spoil.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.geometry.sightings import Sightings
import torch

LEAST_WEIGHT = 0.1  # below, a pixel does not count at all
NEAREST = 0.05  # of a pixel's depth: a target nearer to its camera, or behind it, is none
NO_PARALLAX = 1e-6  # pixels per unit of log depth below which an epipolar line has no direction


@dataclass(frozen=True, eq=False)
class Rays:
    """Sightings as what a motion acts on. Lengths are in `unit`, the median depth of each body.

    unit:            [B]
    rays:            [B, V, N, 3], points at depth 1, turned into the body's axes
    inverse_depth:   [B, V, N]
    origin:          [B, V, 3], the cameras' places on the body
    target_from_body: [B, V, 3, 3] and [B, V, 3], rotation and translation
    focal, centre:   [B, V, 1, 2] of the targets' images
    targets:         [B, V, N, 2]
    weights:         [B, V, N], 0 where anything is unknown
    """

    unit: torch.Tensor
    rays: torch.Tensor
    inverse_depth: torch.Tensor
    origin: torch.Tensor
    target_from_body: tuple[torch.Tensor, torch.Tensor]
    focal: torch.Tensor
    centre: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def median_depth(ways: Sequence[Sightings]) -> torch.Tensor:
    """Median [B] of the depths that count; 1 where none does."""
    depths = [torch.where(_counting(way) > 0, way.depth, torch.nan).flatten(1) for way in ways]
    return torch.cat(depths, dim=1).nanmedian(dim=1).values.nan_to_num(nan=1.0)


def rays_of(sightings: Sightings, unit: torch.Tensor) -> Rays:
    """The sightings in lengths of `unit` [B]."""
    weights = _counting(sightings)
    known = weights > 0
    k, other = sightings.intrinsics, sightings.target_intrinsics
    focal, centre = _focal(k), k[:, :, None, :2, 2]
    rays = torch.nn.functional.pad((sightings.pixels - centre) / focal, (0, 1), value=1.0)
    turn = sightings.body_from_camera[..., :3, :3]
    scale = unit[:, None, None]
    target_turn = sightings.body_from_target[..., :3, :3].transpose(-1, -2)
    target_origin = sightings.body_from_target[..., :3, 3] / scale
    return Rays(
        unit=unit,
        rays=rays @ turn.transpose(-1, -2),
        inverse_depth=scale / sightings.depth.where(known, scale),
        origin=sightings.body_from_camera[..., :3, 3] / scale,
        target_from_body=(target_turn, -(target_turn @ target_origin[..., None])[..., 0]),
        focal=_focal(other),
        centre=other[:, :, None, :2, 2],
        targets=sightings.targets.where(known[..., None], sightings.pixels),
        weights=weights,
    )


@dataclass(frozen=True, eq=False)
class Residuals:
    """Observed minus expected targets of M = V N pixels of each body, and their slopes, negated.

    along, across: [B, M], pixels; components of the residual
    along_slope, across_slope: [B, M, 6]: change of the expected target by a step of the motion,
               translation then rotation vector, both in the other instant's body axes
    spread:    [B, M], pixels along the line per unit of the logarithm of the depth
    weights:   [B, M]; 0 where the point lies behind the camera
    """

    along: torch.Tensor
    across: torch.Tensor
    along_slope: torch.Tensor
    across_slope: torch.Tensor
    spread: torch.Tensor
    weights: torch.Tensor


def residuals(rays: Rays, rotation: torch.Tensor, translation: torch.Tensor) -> Residuals:
    """At a motion other_from_body: rotation [B, 3, 3], translation [B, 3] in units of `rays`.

    Works with points over their depth, which are finite however far they are.
    """
    turn, shift = rays.target_from_body
    rho = rays.inverse_depth[..., None]
    turned = rotation.transpose(-1, -2)
    origin = rays.origin @ turned
    in_body = rays.rays @ turned[:, None] + rho * origin[:, :, None]
    to_target = turn.transpose(-1, -2)
    moved = in_body + rho * translation[:, None, None]
    x, y, z = (moved @ to_target + rho * shift[:, :, None]).unbind(-1)
    # The camera's own translation: the epipole, as seen from the target.
    own = (origin + translation[:, None])[:, :, None] @ to_target + shift[:, :, None]
    in_front = z > NEAREST
    z = torch.where(in_front, z, 1.0)[..., None]
    scale, place = rays.focal / z, torch.stack([x, y], dim=-1) / z
    difference = rays.targets - rays.focal * place - rays.centre
    by_depth = rho * scale * (own[..., :2] - place * own[..., 2:])
    spread = by_depth.norm(dim=-1)
    has_line = spread > NO_PARALLAX
    line_x, line_y = (by_depth / spread.clamp(min=NO_PARALLAX)[..., None]).unbind(-1)
    line_x, line_y = torch.where(has_line, line_x, 1.0), torch.where(has_line, line_y, 0.0)
    line, normal = torch.stack([line_x, line_y], -1), torch.stack([-line_y, line_x], -1)

    def slope(direction: torch.Tensor) -> torch.Tensor:
        row = direction * scale
        row = torch.cat([row, -(row * place).sum(-1, keepdim=True)], dim=-1) @ turn
        return torch.cat([rho * row, torch.linalg.cross(in_body, row)], dim=-1).flatten(1, 2)

    return Residuals(
        along=(difference * line).sum(-1).flatten(1),
        across=(difference * normal).sum(-1).flatten(1),
        along_slope=slope(line),
        across_slope=slope(normal),
        spread=spread.flatten(1),
        weights=torch.where(in_front, rays.weights, 0.0).flatten(1),
    )


def _counting(sightings: Sightings) -> torch.Tensor:
    known = (
        (sightings.depth > 0)
        & sightings.depth.isfinite()
        & sightings.targets.isfinite().all(dim=-1)
        & (sightings.weights >= LEAST_WEIGHT)
    )
    return torch.where(known, sightings.weights, 0.0)


def _focal(intrinsics: torch.Tensor) -> torch.Tensor:
    return intrinsics.diagonal(dim1=-2, dim2=-1)[:, :, None, :2]

"""Which bodies the rays of a beam may meet at all: outlines in the image, and cones."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_FRONT = 1e-3
_FAR = 1e6


@dataclass(frozen=True, eq=False)
class Outlines:
    """Bounds of P bodies in F frames, on the plane z = 1 before the camera.

    low, high: float32 [F, P, 2] of (x/z, y/z); low above high where a body is behind or absent
    centre:    float32 [F, P, 3] of the ball around the body
    radius:    float32 [F, P]; negative where the body is absent
    """

    low: torch.Tensor
    high: torch.Tensor
    centre: torch.Tensor
    radius: torch.Tensor


def outlines(frame_from_body: torch.Tensor, half: torch.Tensor, present: torch.Tensor) -> Outlines:
    """Outlines of bodies with half sizes [F, P, 3] posed [F, P, 3, 4], of any float type."""
    signs = torch.tensor([-1.0, 1.0], dtype=half.dtype, device=half.device)
    corners = torch.cartesian_prod(signs, signs, signs) * half[:, :, None]
    spots = corners @ frame_from_body[..., :3].mT + frame_from_body[:, :, None, :, 3]
    # Edges that pass through the plane of the camera are cut just before it.
    first, second = spots[:, :, _EDGES[0]], spots[:, :, _EDGES[1]]
    a, b = first[..., 2:], second[..., 2:]
    share = (_FRONT - a) / torch.where((b - a).abs() > 1e-12, b - a, torch.ones_like(a))
    cut = first + share.clamp(0, 1) * (second - first)
    crosses = (a < _FRONT) != (b < _FRONT)
    spots = torch.cat([spots, cut], dim=2)
    seen = torch.cat([spots[:, :, :8, 2:] >= _FRONT, crosses], dim=2) & present[..., None, None]
    plane = spots[..., :2] / spots[..., 2:].clamp(min=_FRONT)
    low = torch.where(seen, plane, _FAR).amin(2).float()
    high = torch.where(seen, plane, -_FAR).amax(2).float()
    radius = torch.where(present, half.norm(dim=-1), -1.0)
    return Outlines(low, high, frame_from_body[..., 3].float(), radius.float())


# Corners of a box as `cartesian_prod` lists them differ in one bit along an edge.
_EDGES = torch.tensor([[i, i | bit] for bit in (1, 2, 4) for i in range(8) if not i & bit]).T


def in_windows(
    outline: Outlines, frame: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """Bool [N, P]: bodies whose outline meets the window low..high [N, 2] of its frame [N].

    For beams that start at the camera.
    """
    apart = (outline.low[frame] > high[:, None]) | (outline.high[frame] < low[:, None])
    return ~apart.any(-1)


def in_cones(
    outline: Outlines, frame: torch.Tensor, origin: torch.Tensor, directions: torch.Tensor
) -> torch.Tensor:
    """Bool [N, P]: bodies whose ball meets the cone around the directions [N, 3, R].

    For beams that start at any origin [N, 3].
    """
    unit = directions / directions.norm(dim=1, keepdim=True).clamp(min=1e-12)
    axis = unit.mean(2)
    axis = axis / axis.norm(dim=1, keepdim=True).clamp(min=1e-12)
    cosine = (unit * axis[..., None]).sum(1).amin(1).clamp(-1, 1)
    sine = (1 - cosine.square()).clamp(min=0).sqrt()
    centre = outline.centre[frame] - origin[:, None]
    radius = outline.radius[frame]
    along = (centre * axis[:, None]).sum(-1)
    aside = (centre.square().sum(-1) - along.square()).clamp(min=0).sqrt()
    # Distance of the ball's centre from the side of the cone, measured at right angles to it.
    outside = aside * cosine[:, None] - along * sine[:, None]
    reaches = outside <= radius
    behind = (along < 0) & (aside.square() + along.square() > radius.square())
    wide = (cosine <= 0)[:, None]
    return (reaches & ~behind | wide) & (radius >= 0)

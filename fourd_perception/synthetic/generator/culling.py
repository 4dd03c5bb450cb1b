"""Which bodies the rays of a beam may meet at all: outlines in the image, and balls."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_FRONT = 1e-3
_FAR = 1e6
# What rounding may take away from an outline.
_SPARE = 1e-4


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
    low = torch.where(seen, plane - _SPARE, _FAR).amin(2).float()
    high = torch.where(seen, plane + _SPARE, -_FAR).amax(2).float()
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


def on_the_way(
    outline: Outlines,
    frame: torch.Tensor,
    origin: torch.Tensor,
    centre: torch.Tensor,
    radius: torch.Tensor,
) -> torch.Tensor:
    """Bool [N, P]: bodies whose ball meets some way from an origin [N, 3] into a ball.

    centre [N, 3], radius [N]: the ball of destinations
    """
    way = centre - origin
    length = way.norm(dim=1, keepdim=True)
    unit = way / length.clamp(min=1e-9)
    place = outline.centre[frame] - origin[:, None]
    along = (place * unit[:, None]).sum(-1)
    aside = place.square().sum(-1) - along.square()
    room = outline.radius[frame] + radius[:, None]
    before = (along > -room) & (along < length + room)
    return before & (aside <= room.square()) & (outline.radius[frame] >= 0)

"""Which bodies the rays of a beam may meet at all: outlines in the image, and balls."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.kernels import kernel
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


def outlines(
    frame_from_body: torch.Tensor, half: torch.Tensor, present: torch.Tensor, compiled: bool
) -> Outlines:
    """Outlines of bodies with half sizes [F, P, 3] posed [F, P, 3, 4], of any float type."""
    low, high = kernel(_bounds, compiled)(frame_from_body.float(), half.float(), present)
    radius = torch.where(present, half.norm(dim=-1), -1.0)
    return Outlines(low, high, frame_from_body[..., 3].float(), radius.float())


def _bounds(
    frame_from_body: torch.Tensor, half: torch.Tensor, present: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lowest and highest x/z and y/z [F, P, 2] of boxes before the camera."""
    axes = [frame_from_body[..., i] * half[..., i, None] for i in range(3)]
    centre = frame_from_body[..., 3]
    corners = [
        centre + x * axes[0] + y * axes[1] + z * axes[2]
        for x in (-1, 1)
        for y in (-1, 1)
        for z in (-1, 1)
    ]
    low = torch.full_like(centre[..., :2], _FAR)
    high = -low
    for corner in corners:
        seen = (corner[..., 2:] >= _FRONT) & present[..., None]
        plane = corner[..., :2] / corner[..., 2:].clamp(min=_FRONT)
        low = torch.minimum(low, torch.where(seen, plane, _FAR))
        high = torch.maximum(high, torch.where(seen, plane, -_FAR))
    for first, second in _EDGES:
        # Edges that pass through the plane of the camera are cut just before it.
        a, b = corners[first], corners[second]
        crosses = ((a[..., 2:] < _FRONT) != (b[..., 2:] < _FRONT)) & present[..., None]
        rise = b[..., 2:] - a[..., 2:]
        share = (_FRONT - a[..., 2:]) / torch.where(crosses, rise, 1.0)
        plane = (a + share * (b - a))[..., :2] / _FRONT
        low = torch.minimum(low, torch.where(crosses, plane, _FAR))
        high = torch.maximum(high, torch.where(crosses, plane, -_FAR))
    return low - _SPARE, high + _SPARE


# Pairs of corners, as `_bounds` lists them, that differ in one bit.
_EDGES = tuple((i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit)


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

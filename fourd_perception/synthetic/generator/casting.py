"""Where rays meet convex bodies: many beams of rays with a common origin, against few bodies each.

Bodies are given as `unit_from_frame` maps that make them a unit cube, ball or cylinder. Misses are
counted in lengths instead of masks, since comparing and selecting costs more than arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MISS = 1e12
_PENALTY = 1e30
# Keeps rays that run along a face from dividing zero by zero.
_TINY = 1e-20
# Numbers at a time in one operand: what is computed on the way stays in the caches of a core.
_BLOCK = 8192
_BLOCK_CUDA = 1 << 24


@dataclass(frozen=True, eq=False)
class Forms:
    """The bodies of F frames, P each, as rays meet them. Tensors on one device.

    unit_from_frame: float32 [F, P, 3, 4]
    round_weight:    float32 [P] or [F, P, 3]: 1 along axes that bend the surface: ball (1, 1, 1),
                     cylinder (1, 1, 0)
    boxy:            bool [F, P]: unit cubes; else round
    """

    unit_from_frame: torch.Tensor
    round_weight: torch.Tensor
    boxy: torch.Tensor


@dataclass(frozen=True, eq=False)
class Beams:
    """N beams of R rays that share an origin, each in the frame of one image.

    frame:      int64 [N]
    origin:     float32 [N, 3]
    directions: float32 [N, 3, R]
    candidates: bool [N, P]: bodies that a ray of the beam may meet
    nearest:    only what is met farther than this length counts
    """

    frame: torch.Tensor
    origin: torch.Tensor
    directions: torch.Tensor
    candidates: torch.Tensor
    nearest: float = 1e-4


def cast(beams: Beams, forms: Forms) -> tuple[torch.Tensor, torch.Tensor]:
    """What every ray meets first.

    Returns length [N, R] in units of the direction (above `MISS` where nothing is met), and body
    int64 [N, R] (anything where nothing is met).
    """
    count, _, rays = beams.directions.shape
    length = beams.directions.new_full((count, rays), 2 * MISS)
    body = torch.zeros(count, rays, dtype=torch.int64, device=length.device)
    block = _BLOCK if length.device.type == 'cpu' else _BLOCK_CUDA
    boxy = forms.boxy[beams.frame]
    for round_bodies in (False, True):
        chosen = beams.candidates & (boxy != round_bodies)
        for beam, bodies in _lists(chosen, max(block // rays, 1)):
            meet = _meet_round if round_bodies else _meet_boxes
            met, which = meet(beams, forms, beam, bodies)
            nearer = met < length[beam]
            length[beam] = torch.where(nearer, met, length[beam])
            body[beam] = torch.where(nearer, bodies.gather(1, which), body[beam])
    return length, body


def _lists(chosen: torch.Tensor, most: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Beams with equally long lists of bodies: pairs of beams [n] and bodies [n, K].

    chosen [N, P]. A list that is filled up repeats its first body. n * K is at most `most`,
    unless one list alone is longer.
    """
    counts = chosen.sum(1)
    beam, body = chosen.nonzero(as_tuple=True)
    start = counts.cumsum(0) - counts
    order = counts.argsort(stable=True)
    lengths = counts[order].cpu()
    first = int((lengths == 0).sum())
    out = []
    while first < len(order):
        # The longest list of a block decides: lists come in order, so little is filled up.
        room = lengths[first:].double() * torch.arange(1, len(order) - first + 1)
        last = first + max(int((room <= most).sum()), 1)
        beams = order[first:last]
        slots = torch.arange(int(lengths[last - 1]), device=chosen.device)
        own = counts[beams, None]
        places = start[beams, None] + torch.where(slots < own, slots, 0)
        out.append((beams, body[places]))
        first = last
    return out


def _in_units(
    beams: Beams, forms: Forms, beam: torch.Tensor, bodies: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Origins [n, K, 3, 1] and directions [n, K, 3, R] as bodies see them, and their frames."""
    frame = beams.frame[beam, None]
    maps = forms.unit_from_frame[frame, bodies]
    linear = maps[..., :3]
    origin = (linear @ beams.origin[beam, None, :, None]) + maps[..., 3:]
    directions = torch.bmm(linear.flatten(1, 2), beams.directions[beam])
    return origin, directions.unflatten(1, linear.shape[1:3]), frame


def _meet_boxes(
    beams: Beams, forms: Forms, beam: torch.Tensor, bodies: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    origin, directions, _ = _in_units(beams, forms, beam, bodies)
    inverse = directions.add_(_TINY).reciprocal_()
    middle = -origin * inverse
    inverse.abs_()
    near, far = (middle - inverse).amax(2), (middle + inverse).amin(2)
    inside = (origin[..., 0].abs().amax(2) < 1).float()[..., None]
    return _first(near, far, inside, near - far, beams.nearest)


def _meet_round(
    beams: Beams, forms: Forms, beam: torch.Tensor, bodies: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Balls and cylinders. The nearest approach to the axis comes first: exact from afar too."""
    origin, directions, frame = _in_units(beams, forms, beam, bodies)
    weight = forms.round_weight[frame, bodies][..., None]
    bent, start = directions * weight, origin * weight
    square = bent.square().sum(2).add_(_TINY)
    middle = (bent * start).sum(2).div_(square).neg_()
    apart = torch.addcmul(start, bent, middle[:, :, None]).square_().sum(2)
    rest = 1 - apart
    reach = rest.clamp(min=0).div_(square).sqrt_()
    inverse = directions[:, :, 2].add_(_TINY).reciprocal_()
    centre = -origin[:, :, 2] * inverse
    inverse.abs_()
    near = torch.maximum(middle - reach, centre - inverse)
    far = torch.minimum(middle + reach, centre + inverse)
    within = torch.maximum(start[..., 0].square().sum(2), origin[:, :, 2, 0].square())
    inside = (within < 1).float()[..., None]
    return _first(near, far, inside, torch.maximum(near - far, -rest), beams.nearest)


def _first(
    near: torch.Tensor, far: torch.Tensor, inside: torch.Tensor, missed: torch.Tensor, least: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shortest length [n, R] over the bodies of a list, and which of them.

    missed [n, K, R]: above 0 where the ray passes by. From inside, a body is met on its far side.
    """
    length = torch.addcmul(near, far - near, inside)
    missed = torch.maximum(missed, least - length).clamp_(min=0)
    return length.add_(missed, alpha=_PENALTY).min(1)

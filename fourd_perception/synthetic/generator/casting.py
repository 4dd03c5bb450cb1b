"""Where rays meet convex bodies: many beams of rays with a common origin, against few bodies each.

Bodies are given as `unit_from_frame` maps that make them a unit cube, ball or cylinder, or half of
one. Misses are counted in lengths instead of masks, since comparing and selecting costs more than
arithmetic. No product of matrices: neither autocast nor TF32 touches the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.kernels import kernel
import torch

MISS = 1e12
_PENALTY = 1e30
# Keeps rays that run along a face from dividing zero by zero.
_TINY = 1e-20
# Rays times bodies at a time: what is computed on the way stays in the caches of a core, or of
# the device. Compiled kernels keep nothing on the way.
_BLOCK, _BLOCK_FUSED = 1 << 15, 1 << 21
# How much longer than needed the lists of a block may be together: a factor, and some.
_WASTE, _FEW = 1.3, 16


@dataclass(frozen=True, eq=False)
class Forms:
    """The bodies of F frames, P each, as rays meet them. Tensors on one device.

    unit_from_frame: float32 [F, P, 12], rows of 3 x 4
    bent:            float32 [F, P]: 1 for a ball and its half, 0 for a cylinder and a wedge
    boxes, rounds, cuts: bool [F, P]: cubes, balls and cylinders, halves of a cube or a ball
    compiled:        kernels are compiled at first use
    """

    unit_from_frame: torch.Tensor
    bent: torch.Tensor
    boxes: torch.Tensor
    rounds: torch.Tensor
    cuts: torch.Tensor
    compiled: bool


@dataclass(frozen=True, eq=False)
class Beams:
    """N beams of R rays that share an origin, each in the frame of one image.

    frame:      int64 [N]
    origin:     float32 [N, 3]
    directions: float32 [N, 3, R]
    candidates: bool [N, P]: bodies that a ray of the beam may meet
    """

    frame: torch.Tensor
    origin: torch.Tensor
    directions: torch.Tensor
    candidates: torch.Tensor


def cast(beams: Beams, forms: Forms, nearest: float = 1e-4) -> tuple[torch.Tensor, torch.Tensor]:
    """What every ray meets first, farther away than `nearest`.

    Returns length float32 [N, R] in units of the direction (above `MISS` where nothing is met),
    and body int64 [N, R] (anything where nothing is met).
    """
    count, _, rays = beams.directions.shape
    length = beams.directions.new_full((count, rays), 2 * MISS)
    body = torch.zeros(count, rays, dtype=torch.int64, device=length.device)
    fused = forms.compiled or length.device.type != 'cpu'
    most = max((_BLOCK_FUSED if fused else _BLOCK) // rays, 2)
    tables = forms.unit_from_frame, forms.bent
    rays_of = beams.frame, beams.origin, beams.directions
    for meet, family in (
        (_meet_boxes, forms.boxes),
        (_meet_round, forms.rounds),
        (_meet_cut, forms.cuts),
    ):
        first_met = kernel(meet, forms.compiled)
        for beam, bodies in _lists(beams.candidates & family[beams.frame], most):
            found = first_met(*tables, *rays_of, beam, bodies, nearest, length, body)
            length.index_copy_(0, beam, found[0])
            body.index_copy_(0, beam, found[1])
    return length, body


def _lists(chosen: torch.Tensor, most: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Beams with equally long lists of bodies: pairs of beams [n] and bodies [n, K].

    chosen [N, P]. Lists that are filled up repeat their first body. n * K is at most `most`,
    unless one list alone is longer. Neither n nor K is 1, which kernels would be compiled for
    anew: a single beam stands there twice.
    """
    counts = chosen.sum(1)
    beam, body = chosen.nonzero(as_tuple=True)
    start = counts.cumsum(0) - counts
    order = counts.argsort(stable=True)
    lengths = counts[order].tolist()
    first = lengths.count(0)
    out = []
    while first < len(lengths):
        # The longest list of a block decides: lists come in order, so little is filled up.
        last, total = first + 1, lengths[first]
        while last < len(lengths):
            whole, total = (last + 1 - first) * lengths[last], total + lengths[last]
            if whole > most or whole > _WASTE * total + _FEW:
                break
            last += 1
        beams = order[first:last].repeat(2 if last - first == 1 else 1)
        slots = torch.arange(max(lengths[last - 1], 2), device=chosen.device)
        places = start[beams, None] + torch.where(slots < counts[beams, None], slots, 0)
        out.append((beams, body[places]))
        first = last
    return out


def _meet_boxes(
    maps: torch.Tensor,
    _bent: torch.Tensor,
    frame: torch.Tensor,
    origin: torch.Tensor,
    directions: torch.Tensor,
    beam: torch.Tensor,
    bodies: torch.Tensor,
    nearest: float,
    length: torch.Tensor,
    body: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cubes on the rays of some beams [n], one of bodies [n, K] or what was met before.

    Returns length and body [n, R] of the nearest.
    """
    units = _in_units(maps[frame[beam][:, None], bodies], origin[beam], directions[beam])
    nears, fars = zip(*(_slab(start, along) for start, along in units))
    near = torch.maximum(torch.maximum(nears[0], nears[1]), nears[2])
    far = torch.minimum(torch.minimum(fars[0], fars[1]), fars[2])
    (x, _), (y, _), (z, _) = units
    outside = torch.maximum(torch.maximum(x.abs(), y.abs()), z.abs())
    met = _first(near, far, outside, near - far, nearest, bodies)
    return _nearer(*met, length[beam], body[beam])


def _meet_round(
    maps: torch.Tensor,
    bent: torch.Tensor,
    frame: torch.Tensor,
    origin: torch.Tensor,
    directions: torch.Tensor,
    beam: torch.Tensor,
    bodies: torch.Tensor,
    nearest: float,
    length: torch.Tensor,
    body: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of balls and cylinders."""
    of = frame[beam][:, None], bodies
    (x, dx), (y, dy), (z, dz) = _in_units(maps[of], origin[beam], directions[beam])
    lower, upper = _slab(z, dz)
    w = bent[of][..., None]
    middle, reach, rest, within = _ball(x, y, w * z, dx, dy, w * dz)
    near, far = torch.maximum(middle - reach, lower), torch.minimum(middle + reach, upper)
    outside = torch.maximum(within, z * z)
    met = _first(near, far, outside, torch.maximum(near - far, -rest), nearest, bodies)
    return _nearer(*met, length[beam], body[beam])


def _meet_cut(
    maps: torch.Tensor,
    bent: torch.Tensor,
    frame: torch.Tensor,
    origin: torch.Tensor,
    directions: torch.Tensor,
    beam: torch.Tensor,
    bodies: torch.Tensor,
    nearest: float,
    length: torch.Tensor,
    body: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of wedges (x + z <= 0 of a cube) and domes (z >= 0 of a ball)."""
    of = frame[beam][:, None], bodies
    (x, dx), (y, dy), (z, dz) = _in_units(maps[of], origin[beam], directions[beam])
    w = bent[of][..., None]
    middle, reach, rest, within = _ball(w * x, w * y, w * z, w * dx, w * dy, w * dz)
    near, far = middle - reach, middle + reach
    # The cut is the upper end of a slab that begins far below the body.
    side, d_side = (1 - w) * x + (1 - 2 * w) * z, (1 - w) * dx + (1 - 2 * w) * dz
    for slab in ((x, dx), (y, dy), (z, dz), (0.5 * side + 1, 0.5 * d_side)):
        lower, upper = _slab(*slab)
        near, far = torch.maximum(near, lower), torch.minimum(far, upper)
    outside = torch.maximum(torch.maximum(x.abs(), y.abs()), torch.maximum(z.abs(), within))
    outside = torch.maximum(outside, 1 + side)
    met = _first(near, far, outside, torch.maximum(near - far, -rest), nearest, bodies)
    return _nearer(*met, length[beam], body[beam])


def _in_units(
    maps: torch.Tensor, origin: torch.Tensor, directions: torch.Tensor
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Per axis of the unit body: where the rays start [n, K, 1], and where they go [n, K, R].

    maps [n, K, 12], origin [n, 3], directions [n, 3, R]
    """
    x, y, z = directions[:, None].unbind(2)
    rows = maps[..., None].unbind(2)
    out = []
    for a, b, c, d in (rows[0:4], rows[4:8], rows[8:12]):
        start = a * origin[:, None, :1] + b * origin[:, None, 1:2] + c * origin[:, None, 2:] + d
        out.append((start, a * x + b * y + c * z))
    return out


def _slab(start: torch.Tensor, along: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lengths at which rays enter and leave -1..1 of one axis."""
    inverse = (along + _TINY).reciprocal()
    middle, reach = -start * inverse, inverse.abs()
    return middle - reach, middle + reach


def _ball(
    x: torch.Tensor,
    y: torch.Tensor,
    z: torch.Tensor,
    dx: torch.Tensor,
    dy: torch.Tensor,
    dz: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Length to where a ray is nearest to the origin, and half its way through the unit ball.

    The nearest place is sought first, and the surface from there: exact from afar too. Also what
    is left of 1 at the nearest place (below 0 on a miss), and the square of the start.
    """
    square = dx * dx + dy * dy + dz * dz + _TINY
    middle = -(dx * x + dy * y + dz * z) / square
    px, py, pz = x + middle * dx, y + middle * dy, z + middle * dz
    rest = 1 - px * px - py * py - pz * pz
    return middle, (rest.clamp(min=0) / square).sqrt(), rest, x * x + y * y + z * z


def _first(
    near: torch.Tensor,
    far: torch.Tensor,
    outside: torch.Tensor,
    missed: torch.Tensor,
    nearest: float,
    bodies: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Shortest length [n, R] over the bodies [n, K] of a list, and which of them.

    outside [n, K, 1]: below 1 where the ray starts inside, to meet the body on its far side;
    missed [n, K, R]: above 0 where the ray passes by.
    """
    length = near + (far - near) * (outside < 1).float()
    missed = torch.maximum(missed, nearest - length).clamp(min=0)
    length, which = (length + missed * _PENALTY).min(1)
    return length, bodies.gather(1, which)


def _nearer(
    length: torch.Tensor, body: torch.Tensor, before: torch.Tensor, body_before: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.minimum(length, before), torch.where(length < before, body, body_before)

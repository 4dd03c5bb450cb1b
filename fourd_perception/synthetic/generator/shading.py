"""Colours of what rays meet: textures, lamp, highlights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.synthetic.generator.bodies import BOX, CYLINDER, DOME, WEDGE
from fourd_perception.synthetic.generator.casting import Beams, MISS
from fourd_perception.synthetic.generator.frames import Frames
from fourd_perception.synthetic.generator.kernels import kernel
from fourd_perception.synthetic.generator.stock import texture
import torch

# Rays at a time: what is computed on the way stays in the caches of a core, or of the device.
_BLOCK, _BLOCK_FUSED = 1 << 13, 1 << 21
# A neighbouring face of a box reads another part of the texture.
_FACE_SHIFT = 37.0
# How near to the cut of a half body a point lies on it, in unit space.
_CUT = 1e-3


@dataclass(frozen=True, eq=False)
class Paint:
    """How the bodies of B clips look, float32.

    bodies:      [B, P, 26]: half sizes, kind, and the row of the material
    lamp:        [B, 3] place in the world, metres; the sun is a lamp far away
    lamp_colour, ambient: [B, 3]
    texels:      of `stock`
    """

    bodies: torch.Tensor
    lamp: torch.Tensor
    lamp_colour: torch.Tensor
    ambient: torch.Tensor
    texels: torch.Tensor


def shade(
    frames: Frames,
    paint: Paint,
    beams: Beams,
    length: torch.Tensor,
    body: torch.Tensor,
    lamp: torch.Tensor,
    lit: torch.Tensor,
) -> torch.Tensor:
    """RGB float32 [N, 3, R] of what `cast` found, not limited to 0..1; anything on the sky.

    lamp: [N, 3] place in the frame of each beam; lit: [N, R] how much of it arrives
    """
    count, rays = length.shape
    clip, camera = frames.clip(beams.frame), frames.camera(beams.frame)
    k = frames.intrinsics.flatten(0, 1)[camera]
    spacing = 1 / (k[:, 0, 0] * k[:, 1, 1]).sqrt()
    up = frames.world_from_camera.flatten(0, 3)[beams.frame, 2, :3].float()
    lights = torch.cat(
        [lamp, up, paint.lamp_colour[clip], paint.ambient[clip], spacing[:, None]], 1
    )
    tables = frames.forms.unit_from_frame, paint.bodies, paint.texels
    rays_of = beams.frame, clip, beams.origin, beams.directions, length, body, lights, lit
    fused = frames.forms.compiled or length.device.type != 'cpu'
    step = max((_BLOCK_FUSED if fused else _BLOCK) // rays, 2)
    colours = kernel(_colours, frames.forms.compiled)
    out = []
    for start in range(0, count, step):
        # Never a single beam, which the kernel would be compiled for anew.
        beam = torch.arange(start, min(start + step, count), device=length.device)
        doubled = beam.repeat(2) if len(beam) == 1 else beam
        out.append(colours(*tables, *rays_of, doubled)[: len(beam)])
    return torch.cat(out)


def _colours(
    maps: torch.Tensor,
    looks: torch.Tensor,
    texels: torch.Tensor,
    frame: torch.Tensor,
    clip: torch.Tensor,
    origin: torch.Tensor,
    directions: torch.Tensor,
    length: torch.Tensor,
    body: torch.Tensor,
    lights: torch.Tensor,
    lit: torch.Tensor,
    beam: torch.Tensor,
) -> torch.Tensor:
    """RGB [n, 3, R] of what some beams [n] meet; axes are lists of three [n, R]."""
    number, lit = body[beam], lit[beam]
    m = maps[frame[beam][:, None], number].unbind(-1)
    look = looks[clip[beam][:, None], number].unbind(-1)
    light = lights[beam][..., None].unbind(1)
    length, directions, origin = length[beam], directions[beam], origin[beam]
    length = length.clamp(max=MISS)
    along = directions.unbind(1)
    point = [o + d * length for o, d in zip(origin[..., None].unbind(1), along)]
    unit = [
        m[i] * point[0] + m[i + 1] * point[1] + m[i + 2] * point[2] + m[i + 3] for i in (0, 4, 8)
    ]
    normal, u, v, shift = _skin(unit, look[:3], look[3])
    normal = _direction(
        [m[i] * normal[0] + m[4 + i] * normal[1] + m[8 + i] * normal[2] for i in range(3)]
    )
    view = _direction(along)
    facing = -_dot(normal, view)
    # A surface shows the side that faces the camera.
    normal = [n * facing.sign() for n in normal]
    distance = length * _dot(along, along).sqrt()
    print_size = light[12] * distance / facing.abs().clamp(min=0.05).sqrt()
    albedo = _albedo(look[4:], u, v, shift, print_size, texels)
    to_lamp = _direction([place - p for place, p in zip(light[:3], point)])
    lambert = _dot(normal, to_lamp).clamp(min=0) * lit
    fill = 0.75 + 0.25 * _dot(normal, light[3:6])
    half_way = _direction([b - w for b, w in zip(to_lamp, view)])
    shine = look[12] * (_dot(normal, half_way).clamp(min=1e-3).log() * look[13]).exp() * lit
    return torch.stack(
        [
            albedo[c] * (light[9 + c] * fill + light[6 + c] * lambert) + light[6 + c] * shine
            for c in range(3)
        ],
        1,
    )


def _skin(
    unit: list[torch.Tensor], half: tuple[torch.Tensor, ...], kind: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outward direction in unit space, texture coordinates in metres, and the face's shift.

    Textures are printed along the axis on which a point of the unit body lies farthest out.
    """
    x, y, z = unit
    ax, ay, az = x.abs(), y.abs(), z.abs()
    on_x = ((ax >= ay) & (ax >= az)).float()
    on_z = (1 - on_x) * (az > ay).float()
    on_y = 1 - on_x - on_z
    u = x * half[0] + on_x * (y * half[1] - x * half[0])
    v = z * half[2] + on_z * (y * half[1] - z * half[2])
    cap = ((kind == CYLINDER) & (az * az > x * x + y * y)).float()
    base = ((kind == DOME) & (z < _CUT)).float()
    slope = ((kind == WEDGE) & (x + z > -_CUT)).float()
    flat = ((kind == BOX) | (kind == WEDGE)).float() - slope
    curved = 1 - flat - cap - base - slope
    normal = [
        flat * on_x * x + curved * x + slope,
        flat * on_y * y + curved * y,
        flat * on_z * z + curved * (kind != CYLINDER).float() * z + cap * z + slope - base,
    ]
    return normal, u, v, (on_x + 2 * on_y) * _FACE_SHIFT


def _albedo(
    look: tuple[torch.Tensor, ...],
    u: torch.Tensor,
    v: torch.Tensor,
    shift: torch.Tensor,
    print_size: torch.Tensor,
    texels: torch.Tensor,
) -> list[torch.Tensor]:
    tile, cos, sin, du, dv, grain_tile, grain_per, grain = look[:8]
    base, mix = look[10:13], look[13:22]
    per = (cos * cos + sin * sin).sqrt()
    x, y = cos * u - sin * v + du + shift, sin * u + cos * v + dv
    red, green, blue = texture(texels, tile, x, y, print_size * per)
    red, green, blue = red - 0.5, green - 0.5, blue - 0.5
    speck = texture(texels, grain_tile, u * grain_per, v * grain_per, print_size * grain_per)[1]
    strength = 1 + 2 * grain * (speck - 0.5)
    return [
        (
            (base[c] + mix[3 * c] * red + mix[3 * c + 1] * green + mix[3 * c + 2] * blue)
            * strength
        ).clamp(0.02, 1)
        for c in range(3)
    ]


def _dot(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> torch.Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _direction(a: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    scale = (_dot(a, a) + 1e-24).rsqrt()
    return [v * scale for v in a]

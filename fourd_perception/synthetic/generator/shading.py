"""Colours of what rays meet: textures, lamp, shadows, highlights, sky."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.culling import in_cones
from fourd_perception.synthetic.generator.frames import Frames
from fourd_perception.synthetic.generator.stock import Stock
import torch

_STOCK_TILE = 128
_BLOCK = 16384
_SHADOW_MARGIN = 2e-3


@dataclass(frozen=True, eq=False)
class Light:
    """Lamp and sky of B clips, float32.

    lamp:    [B, 3] place in the world, metres; the sun is a lamp far away
    lamp_colour, ambient: [B, 3]
    shadow:  [B] how much of the lamp a shadow takes away
    zenith, horizon: [B, 3] colours of the sky
    """

    lamp: torch.Tensor
    lamp_colour: torch.Tensor
    ambient: torch.Tensor
    shadow: torch.Tensor
    zenith: torch.Tensor
    horizon: torch.Tensor


def shade(
    frames: Frames,
    light: Light,
    materials: torch.Tensor,
    stock: Stock,
    beams: Beams,
    length: torch.Tensor,
    body: torch.Tensor,
) -> torch.Tensor:
    """RGB float32 [N, 3, R], not yet limited to 0..1.

    materials: [B, P, 24] rows of the bodies' materials; length, body: of `cast`
    """
    b, v, t, s = frames.shape
    n, _, r = beams.directions.shape
    bodies = frames.half.shape[1]
    clip = beams.frame // (v * t * s)
    world = frames.world_from_camera.flatten(0, 3).float()[beams.frame]
    lamp = (light.lamp[clip] - world[:, :3, 3])[:, None] @ world[:, :3, :3]
    lamp = lamp[:, 0]
    up = world[:, 2, :3]
    sky = length > MISS
    reach = torch.where(sky, 1.0, length)
    points = beams.directions * reach[:, None]
    lit = 1 - light.shadow[clip][:, None] * _shadowed(frames, beams, points, lamp, sky)
    maps = frames.forms.unit_from_frame.flatten(0, 1).flatten(1)
    shape = torch.cat([frames.half.float(), frames.form[..., None]], -1)
    rows = torch.cat([shape, materials], -1).flatten(0, 1)
    k = frames.intrinsics.flatten(0, 1)[beams.frame // (t * s)]
    spacing = 1 / (k[:, 0, 0] * k[:, 1, 1]).sqrt()
    out = torch.empty(n, 3, r, device=points.device)
    step = max(_BLOCK // r, 1) if points.device.type == 'cpu' else n
    for i in range(0, n, step):
        part = slice(i, i + step)
        at = (beams.frame[part, None] * bodies + body[part]).flatten()
        mat = (clip[part, None] * bodies + body[part]).flatten()

        def spread(values: torch.Tensor) -> torch.Tensor:
            """[n, C] to [C, n * R]."""
            return values.mT[..., None].expand(-1, -1, r).flatten(1)

        out[part] = (
            _surface(
                points[part].transpose(0, 1).flatten(1),
                maps.index_select(0, at).mT.contiguous(),
                rows.index_select(0, mat).mT.contiguous(),
                spread(lamp[part]),
                spread(up[part]),
                spread(light.lamp_colour[clip[part]]),
                spread(light.ambient[clip[part]]),
                lit[part].flatten(),
                spread(spacing[part, None])[0] * length[part].flatten(),
                stock,
            )
            .unflatten(1, (-1, r))
            .transpose(0, 1)
        )
    return torch.where(sky[:, None], _sky(light, clip, world, beams.directions), out)


def _shadowed(
    frames: Frames,
    beams: Beams,
    points: torch.Tensor,
    lamp: torch.Tensor,
    sky: torch.Tensor,
) -> torch.Tensor:
    """1 where something stands between point and lamp, else 0, [N, R]."""
    directions = points - lamp[..., None]
    near = in_cones(frames.outlines, beams.frame, lamp, directions)
    near &= ~sky.all(1, keepdim=True)
    length, _ = cast(Beams(beams.frame, lamp, directions, near), frames.forms)
    return (length < 1 - _SHADOW_MARGIN).float()


def _surface(
    points: torch.Tensor,
    maps: torch.Tensor,
    rows: torch.Tensor,
    lamp: torch.Tensor,
    up: torch.Tensor,
    lamp_colour: torch.Tensor,
    ambient: torch.Tensor,
    lit: torch.Tensor,
    footprint: torch.Tensor,
    stock: Stock,
) -> torch.Tensor:
    """RGB [3, N] of surface points [3, N]."""
    m = maps.view(3, 4, -1)
    unit = m[:, 0] * points[0] + m[:, 1] * points[1] + m[:, 2] * points[2] + m[:, 3]
    half, kind = rows[:3], rows[3]
    size, face = unit.abs().max(0)
    metres = unit * half
    u = torch.where(face == 0, metres[1], metres[0])
    v = torch.where(face == 2, metres[1], metres[2])
    # Outward in unit space: a face of the cube, the ball's radius, the cylinder's without z.
    flat = torch.nn.functional.one_hot(face, 3).mT * unit.sign()
    side = torch.cat([unit[:2], torch.zeros_like(unit[:1])])
    cap = (kind == 2) & (side.square().sum(0) < unit[2].square())
    normal = torch.where((kind == 0) | cap, flat, torch.where(kind == 2, side, unit))
    normal = (m[:, :3] * normal[:, None]).sum(0)
    normal = normal / normal.norm(dim=0).clamp(min=1e-12)
    view = points / points.norm(dim=0).clamp(min=1e-12)
    facing = -(normal * view).sum(0)
    normal = normal * facing.sign()
    facing = facing.abs()
    beam = lamp - points
    beam = beam / beam.norm(dim=0).clamp(min=1e-12)
    lambert = (normal * beam).sum(0).clamp(min=0) * lit
    (tile, grain_tile, span, grain_span, cos, sin, du, dv, grain, gloss, sharp) = rows[4:15]
    print_size = footprint / facing.clamp(min=0.05).sqrt()
    per = _STOCK_TILE / span
    x, y = (cos * u - sin * v) * per, (sin * u + cos * v) * per
    shift = face.float() * 37.0
    x, y = x + du * _STOCK_TILE + shift, y + dv * _STOCK_TILE
    colour = stock.colour(tile, x, y, print_size * per) - 0.5
    base, mix = rows[15:18], rows[18:27].view(3, 3, -1)
    albedo = base + (mix * colour).sum(1)
    per = _STOCK_TILE / grain_span
    noise = stock.colour(grain_tile, u * per, v * per, print_size * per)[1] - 0.5
    albedo = (albedo * (1 + 2 * grain * noise)).clamp(0.02, 1)
    fill = 0.75 + 0.25 * (normal * up).sum(0)
    half_way = beam - view
    half_way = half_way / half_way.norm(dim=0).clamp(min=1e-12)
    shine = gloss * (normal * half_way).sum(0).clamp(min=1e-3) ** sharp * lit
    return albedo * (ambient * fill + lamp_colour * lambert) + lamp_colour * shine


def _sky(
    light: Light, clip: torch.Tensor, world: torch.Tensor, directions: torch.Tensor
) -> torch.Tensor:
    """RGB [N, 3, R] of the sky in directions [N, 3, R]."""
    turned = world[:, :3, :3] @ directions
    up = (turned[:, 2] / turned.norm(dim=1)).clamp(0, 1).sqrt()[:, None]
    horizon, zenith = light.horizon[clip, :, None], light.zenith[clip, :, None]
    return horizon + (zenith - horizon) * up

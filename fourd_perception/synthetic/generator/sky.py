"""The sky, as if at infinite distance: brighter at the horizon, with clouds on a ceiling."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.kernels import kernel
from fourd_perception.synthetic.generator.stock import texture
from fourd_perception.synthetic.generator.tiles import TILE
import torch

_CLOUD_SPAN = 3.0


@dataclass(frozen=True, eq=False)
class Sky:
    """Of B clips, float32: zenith, horizon [B, 3] colours; clouds [B]; cloud_tile [B]."""

    zenith: torch.Tensor
    horizon: torch.Tensor
    clouds: torch.Tensor
    cloud_tile: torch.Tensor


def sky_colours(
    sky: Sky,
    clip: torch.Tensor,
    world: torch.Tensor,
    directions: torch.Tensor,
    texels: torch.Tensor,
    compiled: bool,
) -> torch.Tensor:
    """RGB float32 [N, 3, R] in directions [N, 3, R] of cameras [N, 4, 4] in the world."""
    rows = torch.cat([sky.zenith, sky.horizon, sky.clouds[:, None], sky.cloud_tile[:, None]], 1)
    return kernel(_colours, compiled)(rows[clip], world, directions, texels)


def _colours(
    rows: torch.Tensor, world: torch.Tensor, directions: torch.Tensor, texels: torch.Tensor
) -> torch.Tensor:
    """The same of rows [N, 8] of zenith, horizon, clouds and tile."""
    x, y, z = directions.unbind(1)
    m = world[..., None].unbind(2)
    turned = [m[0][:, i] * x + m[1][:, i] * y + m[2][:, i] * z for i in range(3)]
    length = (x * x + y * y + z * z).sqrt()
    upward = (turned[2] / length).clamp(0, 1)
    zenith, horizon = rows[:, :3, None], rows[:, 3:6, None]
    clear = horizon + (zenith - horizon) * upward.sqrt()[:, None]
    above = (turned[2] / length).clamp(min=0.03)
    per = TILE / _CLOUD_SPAN
    u, v = (per * t / (length * above) for t in turned[:2])
    tile = rows[:, 7:].expand_as(u)
    grey = texture(texels, tile, u, v, 0.02 * per / (above * above))[1]
    cover = ((grey - 0.45) * 5 * rows[:, 6:7]).clamp(0, 1) * (4 * upward).clamp(0, 1)
    return clear + (0.93 - clear) * cover[:, None]

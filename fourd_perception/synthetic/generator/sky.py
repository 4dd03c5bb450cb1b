"""The sky, as if at infinite distance: brighter at the horizon, with clouds on a ceiling."""

from __future__ import annotations

from dataclasses import dataclass

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
) -> torch.Tensor:
    """RGB float32 [N, 3, R] in directions [N, 3, R] of cameras [N, 4, 4] in the world."""
    turned = [(world[:, i, :3, None] * directions).sum(1) for i in range(3)]
    length = directions.norm(dim=1)
    upward = (turned[2] / length).clamp(0, 1)
    horizon, zenith = sky.horizon[clip, :, None], sky.zenith[clip, :, None]
    clear = horizon + (zenith - horizon) * upward.sqrt()[:, None]
    above = (turned[2] / length).clamp(min=0.03)
    per = TILE / _CLOUD_SPAN
    u, v = (per * t / (length * above) for t in turned[:2])
    tile = sky.cloud_tile[clip, None].expand_as(u)
    grey = texture(texels, tile, u, v, 0.02 * per / (above * above))[1]
    cover = ((grey - 0.45) * 5 * sky.clouds[clip, None]).clamp(0, 1) * (4 * upward).clamp(0, 1)
    return clear + (0.93 - clear) * cover[:, None]

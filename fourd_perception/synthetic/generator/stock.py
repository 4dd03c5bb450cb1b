"""A stock of texture tiles with halved copies of themselves, read with a footprint."""

from __future__ import annotations

from functools import cache

from fourd_perception.synthetic.generator.tiles import TILE, tiles
import torch
from torch.nn import functional as F

_SEED = 5
_LEVELS = 8
# Where the halved copies of one tile begin within its texels.
_START = tuple(sum((TILE >> k) ** 2 for k in range(level)) for level in range(_LEVELS))
_TEXELS = sum((TILE >> k) ** 2 for k in range(_LEVELS))


@cache
def stock(device: torch.device) -> torch.Tensor:
    """The tiles that all scenes share: int32 [tiles * 21845], RGB packed in bytes.

    A tile is followed by its copies of half, quarter, ... size, down to one texel.
    """
    level = torch.from_numpy(tiles(_SEED))
    texels = []
    for _ in range(_LEVELS):
        values = (level * 255).round().to(torch.int32)
        texels.append((values[:, 0] | values[:, 1] << 8 | values[:, 2] << 16).flatten(1))
        level = F.avg_pool2d(level, 2, ceil_mode=True)
    return torch.cat(texels, dim=1).flatten().to(device)


def texture(
    texels: torch.Tensor,
    tile: torch.Tensor,
    u: torch.Tensor,
    v: torch.Tensor,
    footprint: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Red, green and blue in 0..1 of tiles (whole numbers as float) at places in texels.

    Tiles repeat for ever. footprint: texels that one sample stands for; it picks the halved copy.
    """
    level = footprint.clamp(1, 1 << (_LEVELS - 1)).log2().ceil()
    shrink = torch.exp2(-level)
    size = (TILE * shrink).to(torch.int32)
    # Four times the texels of the copies that come first: 128^2 - size^2 times 4/3.
    base = tile.to(torch.int32) * _TEXELS + (TILE * TILE - size * size) * 4 // 3
    mask = size - 1
    x, y = u * shrink - 0.5, v * shrink - 0.5
    x0, y0 = x.floor(), y.floor()
    fx, fy = x - x0, y - y0
    left, top = x0.to(torch.int32), y0.to(torch.int32)
    right, bottom = (left + 1) & mask, base + ((top + 1) & mask) * size
    left, top = left & mask, base + (top & mask) * size
    corners = [texels[row + column] for row in (top, bottom) for column in (left, right)]
    weights = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    channels = []
    for shift in (0, 8, 16):
        parts = [((c >> shift) & 255) * w for c, w in zip(corners, weights)]
        channels.append((parts[0] + parts[1] + parts[2] + parts[3]) * (1 / 255))
    return channels[0], channels[1], channels[2]

"""A stock of texture tiles as halved copies of themselves, read with a footprint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from fourd_perception.synthetic.texture_tiles import texture_tiles
import torch
from torch.nn import functional as F

TILE = 128
_LEVELS = 8


@dataclass(frozen=True, eq=False)
class Stock:
    """Tiles [count] and their halved copies, RGB packed into int32 texels, flat.

    start: int64 [8] where the copies of a level begin; a tile follows another within a level
    """

    texels: torch.Tensor
    start: torch.Tensor

    def colour(
        self, tile: torch.Tensor, u: torch.Tensor, v: torch.Tensor, footprint: torch.Tensor
    ) -> torch.Tensor:
        """RGB float32 [3, N] in 0..1 of tiles int [N] at places [N] in texels, repeated for ever.

        footprint [N]: texels that one sample stands for; it picks the halved copy.
        """
        level = footprint.clamp(1, 1 << (_LEVELS - 1)).log2().ceil().to(torch.int32)
        shrink = torch.exp2(-level.float())
        size = torch.bitwise_right_shift(torch.full_like(level, TILE), level)
        mask = size - 1
        base = self.start.to(torch.int32)[level] + tile.to(torch.int32) * size * size
        x, y = u * shrink - 0.5, v * shrink - 0.5
        x0, y0 = x.floor(), y.floor()
        fx, fy = x - x0, y - y0
        left, top = x0.to(torch.int32), y0.to(torch.int32)
        right, bottom = (left + 1) & mask, (top + 1) & mask
        left, top = left & mask, top & mask
        upper, lower = base + top * size, base + bottom * size
        corners = [self.texels.index_select(0, at) for at in (upper + left, upper + right)]
        corners += [self.texels.index_select(0, at) for at in (lower + left, lower + right)]
        weights = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]
        out = torch.zeros(3, len(u), device=u.device)
        for packed, weight in zip(corners, weights):
            for channel in range(3):
                out[channel].addcmul_(((packed >> (8 * channel)) & 255).float(), weight)
        return out.mul_(1 / 255)


@cache
def stock(count: int, seed: int, device: torch.device) -> Stock:
    """The stock of tiles that all scenes share, on a device."""
    level = texture_tiles(count, seed)
    texels, start, place = [], [], 0
    for _ in range(_LEVELS):
        bytes_ = (level * 255).round().to(torch.int32)
        packed = bytes_[:, 0] | bytes_[:, 1] << 8 | bytes_[:, 2] << 16
        texels.append(packed.flatten())
        start.append(place)
        place += packed.numel()
        level = F.avg_pool2d(level, 2, ceil_mode=True)
    return Stock(torch.cat(texels).to(device), torch.tensor(start, device=device))

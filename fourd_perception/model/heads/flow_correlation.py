"""How well each cell of one feature map matches the cells near a point of another.

Every lookup reads a window of the all-pairs correlation, averaged over 1, 2, 4 ... cells of the
second map. Averaging is linear, so a level is the correlation with the averaged second map, and
no large volume is ever pooled. Two ways give the same numbers: a stored volume, or products made
at every lookup, whose memory grows with the number of cells and not with its square.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

DESCRIPTOR_PATCH = 7
# Deviation (of 1) below which a patch counts as flat, so that noise is not blown up to a match.
FLAT = 0.01
# Cells of one map up to which the volume is stored: 8192 at 1/4 are 410x320 px, and 1.4 GB for
# both volumes of a pair, both ways. Products on demand take three times as long on a CPU.
STORED_CELLS = 8192


def fixed_descriptor(images: torch.Tensor) -> torch.Tensor:
    """Locally normalised colour patches of 28x28 px [B, 147, H/4, W/4], unit norm, no parameters.

    images: [B, 3, H, W] in 0..1, H and W multiples of 4
    """
    small = F.avg_pool2d(images.float(), 4)
    margin = DESCRIPTOR_PATCH // 2
    patches = F.unfold(F.pad(small, (margin,) * 4, mode='replicate'), DESCRIPTOR_PATCH)
    patches = patches.unflatten(1, (small.shape[1], -1))
    patches = (patches - patches.mean(2, keepdim=True)).flatten(1, 2)
    flat = FLAT * patches.shape[1] ** 0.5
    patches = patches * (patches.square().sum(1, keepdim=True) + flat**2).rsqrt()
    return patches.unflatten(2, small.shape[2:])


class Correlation:
    """Lookups in the correlation of two feature maps, at several levels.

    first, second: [B, C, h, w]; products are those of the vectors as they are, so scale them
    radius:        in cells of each level; a window has (2 radius + 1)^2 values
    stored:        keep the all-pairs volume, or make products at each lookup; None: by the size
    """

    def __init__(
        self,
        first: torch.Tensor,
        second: torch.Tensor,
        levels: int,
        radius: int,
        stored: bool | None = None,
    ) -> None:
        height, width = first.shape[2:]
        if min(height, width) < 2 ** (levels - 1):
            raise ValueError(
                f'{width}x{height} cells are too few for {levels} levels of correlation; '
                f'give at least {2 ** (levels - 1)} along each side'
            )
        self.radius = radius
        self.first = first.flatten(2).transpose(1, 2)  # [B, N, C]
        self.stored = height * width <= STORED_CELLS if stored is None else stored
        self.maps = []
        for level in range(levels):
            pooled = F.avg_pool2d(second, 2**level) if level else second
            # Cells outside match nothing; a window around a cell just outside still fits.
            rows = F.pad(pooled, (radius + 1,) * 4).movedim(1, -1)
            self.maps.append(self._volume(rows) if self.stored else rows)

    def _volume(self, rows: torch.Tensor) -> torch.Tensor:
        """[B, N, h, w] products of every first cell with every second one."""
        flat = self.first @ rows.flatten(1, 2).transpose(1, 2)
        return flat.unflatten(2, rows.shape[1:3])

    def lookup(self, points: torch.Tensor) -> list[torch.Tensor]:
        """Windows [B, N, 2 radius + 1, 2 radius + 1] (y, x) of every level around points.

        points: [B, N, 2] (x, y) in cells of the second map, one for every cell of the first
        Cells outside the map read zero, and so does all of a window whose middle is more than one
        cell of its level outside.
        """
        return [self._window(level, maps, points) for level, maps in enumerate(self.maps)]

    def _window(self, level: int, maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        size = 2 * self.radius + 2
        axis = 2 if self.stored else 1
        height, width = maps.shape[axis : axis + 2]
        # Cell (0, 0) of a level is centred at the middle of the cells that it averages.
        centre = (points.float() + 0.5) / 2**level - 0.5
        whole = centre.floor()
        start = whole.long() + 1  # of the window, in the padded map
        column = start[..., 0].clamp(0, width - size)
        row = start[..., 1].clamp(0, height - size)
        window = (
            StoredWindows.apply(maps, row, column, size)  # type: ignore[no-untyped-call]
            if self.stored
            else _products(self.first, maps, row, column, size)
        )
        inside = (start[..., 0] == column) & (start[..., 1] == row)
        fraction = (centre - whole).to(window.dtype)
        x, y = fraction[..., 0, None, None], fraction[..., 1, None, None]
        window = torch.lerp(window[..., :-1], window[..., 1:], x)
        window = torch.lerp(window[..., :-1, :], window[..., 1:, :], y)
        return window * inside[..., None, None]


class StoredWindows(torch.autograd.Function):
    """Windows [B, N, size, size] of volumes [B, N, h, w], one at (row, column) [B, N] of each.

    Every window lies in a volume of its own: the gradient is written, with nothing to add up,
    which is several times faster than the general backward of indexing.
    """

    @staticmethod
    def forward(
        ctx: Any, volume: torch.Tensor, row: torch.Tensor, column: torch.Tensor, size: int
    ) -> torch.Tensor:
        ctx.save_for_backward(row, column)
        ctx.shape, ctx.size = volume.shape, size
        return _windows(volume, size)[_own(row, column)]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (grad,) = grads
        row, column = ctx.saved_tensors
        volume = grad.new_zeros(ctx.shape)
        _windows(volume, ctx.size)[_own(row, column)] = grad
        return volume, None, None, None


def _windows(volume: torch.Tensor, size: int) -> torch.Tensor:
    """A view of all windows of volumes [..., h, w]: their row and column, then [size, size]."""
    return volume.unfold(-2, size, 1).unfold(-2, size, 1)


def _own(row: torch.Tensor, column: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Indices of one window (row, column) [B, N] in each of the volumes [B, N]."""
    batch, count = row.shape
    pairs = torch.arange(batch, device=row.device)[:, None]
    return pairs, torch.arange(count, device=row.device)[None], row, column


def _products(
    first: torch.Tensor, maps: torch.Tensor, row: torch.Tensor, column: torch.Tensor, size: int
) -> torch.Tensor:
    """Products [B, N, size, size] of the first cells with the second ones in their windows.

    One row of the windows at a time: the copies of the second cells are the largest thing here.
    """
    columns = column[..., None] + torch.arange(size, device=row.device)
    pairs = torch.arange(len(first), device=row.device)[:, None, None]
    products = [
        (maps[pairs, row[..., None] + y, columns] @ first[..., None])[..., 0] for y in range(size)
    ]
    return torch.stack(products, dim=2)

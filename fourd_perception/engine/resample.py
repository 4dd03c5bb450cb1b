"""Dense outputs at another size than the network's, without mixing surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

from fourd_perception.engine.network_size import Size
from fourd_perception.engine.scene_update import Label
import torch

MAX_STEP = 1.05


@dataclass(frozen=True, eq=False)
class Resampler:
    """Bilinear sampling of [..., H, W] at the pixel centres of another size.

    Between pixel centres of the source it interpolates; in the half pixel outside the outermost
    centres it goes on linearly, which is exact for the inverse depth of a plane.

    column, row: long [w], [h]: the upper left source pixel of the 2x2 block around each target
    across, down: float32 [w], [h]: how far from there to the next, -0.5..1.5
    scale: (x, y) target pixels per source pixel
    """

    column: torch.Tensor
    row: torch.Tensor
    across: torch.Tensor
    down: torch.Tensor
    scale: tuple[float, float]

    def depth(self, depth: torch.Tensor) -> torch.Tensor:
        """Depth [H, W] -> [h, w] through inverse depth; NaN across a step above 5 %."""
        smooth = self._gather(smooth_blocks(depth))
        return torch.where(smooth, 1.0 / self._bilinear(1.0 / depth), math.nan)

    def field(self, values: torch.Tensor, smooth: torch.Tensor) -> torch.Tensor:
        """Values [..., H, W] -> [..., h, w]; NaN where the block of pixels around is not smooth.

        smooth: bool [H - 1, W - 1], such as `smooth_blocks` gives
        """
        return torch.where(self._gather(smooth), self._bilinear(values), math.nan)

    def label(self, label: torch.Tensor) -> torch.Tensor:
        """Labels [H, W] -> [h, w]; unknown where the four pixels around do not agree."""
        alike = same_label_blocks(label)
        return self._gather(torch.where(alike, label[:-1, :-1], int(Label.UNKNOWN)))

    def _gather(self, blocks: torch.Tensor) -> torch.Tensor:
        return blocks.index_select(-2, self.row).index_select(-1, self.column)

    def _bilinear(self, values: torch.Tensor) -> torch.Tensor:
        left, right = (values.index_select(-1, self.column + i) for i in (0, 1))
        wide = torch.lerp(left, right, self.across)
        above, below = (wide.index_select(-2, self.row + i) for i in (0, 1))
        return torch.lerp(above, below, self.down[:, None])


@lru_cache(maxsize=64)
def resampler(source: Size, target: Size, device: str) -> Resampler:
    """The resampler between two (width, height); made once for each."""
    column, across = _places(source[0], target[0], device)
    row, down = _places(source[1], target[1], device)
    return Resampler(column, row, across, down, (target[0] / source[0], target[1] / source[1]))


def _places(source: int, target: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) * (source / target) - 0.5
    first = centre.floor().clamp(0, source - 2)
    return first.long().to(device), (centre - first).float().to(device)


def smooth_blocks(depth: torch.Tensor) -> torch.Tensor:
    """Bool [H - 1, W - 1]: whether the depths of each 2x2 block lie within 5 %, none NaN."""
    low, high = _block_range(depth)
    return high <= MAX_STEP * low


def same_label_blocks(label: torch.Tensor) -> torch.Tensor:
    """Bool [H - 1, W - 1]: whether the four labels of each 2x2 block are equal."""
    low, high = _block_range(label)
    return low == high


def _block_range(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest and largest value of every 2x2 block; NaN where there is one."""
    low = torch.minimum(image[:, :-1], image[:, 1:])
    high = torch.maximum(image[:, :-1], image[:, 1:])
    return torch.minimum(low[:-1], low[1:]), torch.maximum(high[:-1], high[1:])

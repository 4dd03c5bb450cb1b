"""What consecutive windows share: what was computed of a frame or of two, from pixels alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

CellKey = tuple[str, int]  # camera, stamp
# Flow from the older frame to the newer, and back: float32 [1, 3, H, W], flow in pixels (u, v) and
# the logarithm of the expected length of its error.
Pair = tuple[torch.Tensor, ...]
Features = tuple[torch.Tensor, ...]


@dataclass
class _Known:
    image: torch.Tensor
    features: Features
    flows: dict[CellKey, Pair] = field(default_factory=dict)


class KnownCells:
    """Encoder features of the cells of the last window, and flows between them.

    A cell is found by camera and stamp and taken for known only when its pixels are the same ones,
    so that a clock that starts anew, another network size or another crop cannot bring back what
    was computed of another image.
    """

    def __init__(self) -> None:
        self._cells: dict[CellKey, _Known] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._cells = {}

    def features(
        self,
        keys: Sequence[CellKey],
        images: torch.Tensor,
        encode: Callable[[torch.Tensor], Features],
    ) -> Features:
        """Features, each [S, ...], of images [S, 3, H, W]; `encode` is given the new ones alone.

        Cells of other keys are forgotten.
        """
        same = self._same(keys, images)
        new = [i for i, known in enumerate(same) if not known]
        kept = {key: self._cells[key] for key, known in zip(keys, same) if known}
        if new:
            fresh = images[new]
            for i, image, features in zip(new, fresh, zip(*encode(fresh))):
                kept[keys[i]] = _Known(image, features)
        self._cells = {key: kept[key] for key in keys}
        for cell in self._cells.values():
            cell.flows = {key: flow for key, flow in cell.flows.items() if key in self._cells}
        parts = zip(*(self._cells[key].features for key in keys))
        return tuple(torch.stack(part) for part in parts)

    def flows(self, older: CellKey, newer: CellKey, compute: Callable[[], Pair]) -> Pair:
        """Forward and backward flow between two cells of the last window."""
        flows = self._cells[newer].flows
        if older not in flows:
            flows[older] = compute()
        return flows[older]

    def _same(self, keys: Sequence[CellKey], images: torch.Tensor) -> list[bool]:
        """Whether each image is known under its key; the device is waited for once."""
        shape = images.shape[1:]
        found = [
            i
            for i, key in enumerate(keys)
            if key in self._cells and self._cells[key].image.shape == shape
        ]
        same = [False] * len(keys)
        if found:
            known = torch.stack([self._cells[keys[i]].image for i in found])
            equal = (images[found] == known).flatten(1).all(dim=1).tolist()
            for i, is_equal in zip(found, equal):
                same[i] = is_equal
        return same

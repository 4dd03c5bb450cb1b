"""From the frames of the window to the tensors that a network reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import cv2
from fourd_perception.engine.network_size import lay_out, Layout, Size
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.grid.frame import Frame
from fourd_perception.grid.visual_grid import VisualGrid
from fourd_perception.model.prediction import GridTensors
import numpy as np
import torch

# The newest column is what goes out; the one before it is where the window before ended, whose
# depths carry the scale on, and where the forward flow begins.
DENSE_COLUMNS = 2


def resize_image(image: np.ndarray, size: Size) -> np.ndarray:
    """The image uint8 [h, w, 3] at another (width, height).

    Shrinking averages over the area of each new pixel, so that nothing aliases; growing is
    bilinear. Both keep pixel centres where `PixelMap.resize` puts them.
    """
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    shrinks = size[0] <= width and size[1] <= height
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


@dataclass(frozen=True, eq=False)
class Cell:
    """A frame at network size: uint8 [H, W, 3], and float32 [3, H, W] in 0..1 on the device."""

    frame: Frame
    image: np.ndarray
    tensor: torch.Tensor


class CellStore:
    """The cells of the window, each made once, when its frame is new."""

    def __init__(self, size: Size, device: str) -> None:
        self.size = size
        self._device = device
        self._cells: dict[int, Cell] = {}
        self._missing = torch.zeros(3, size[1], size[0], device=device)

    def __contains__(self, frame: Frame) -> bool:
        return id(frame) in self._cells

    def __getitem__(self, frame: Frame) -> Cell:
        return self._cells[id(frame)]

    def add(self, frame: Frame, image: np.ndarray) -> None:
        """Keep a decoded image uint8 [h, w, 3], resized and padded to the network's size."""
        layout = lay_out((image.shape[1], image.shape[0]), self.size)
        canvas = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        canvas[layout.rows, layout.columns] = resize_image(image, (layout.width, layout.height))
        tensor = torch.from_numpy(canvas).to(self._device).permute(2, 0, 1).float() / 255.0
        self._cells[id(frame)] = Cell(frame, canvas, tensor.contiguous())

    def keep_only(self, frames: Collection[Frame]) -> None:
        """Forget all cells but those of these frames."""
        self._cells = {id(frame): self._cells[id(frame)] for frame in frames}

    def tensors(self, grid: VisualGrid, cameras: Mapping[str, CameraModel]) -> GridTensors:
        """The grid as tensors; `cameras` holds the model of every camera whose size is known."""
        views, times = grid.shape
        images = [
            self._missing if frame is None else self[frame].tensor
            for view in range(views)
            for frame in (grid.frame(view, time) for time in range(times))
        ]
        width, height = self.size
        layouts = [self._layout(cameras.get(name)) for name in grid.cameras]
        valid = torch.zeros(views, height, width, dtype=torch.bool, device=self._device)
        for view, layout in enumerate(layouts):
            if layout is not None:
                valid[view, layout.rows, layout.columns] = True
        maps = tuple(PixelMap() if layout is None else layout.pixel_map for layout in layouts)
        return GridTensors(
            images=torch.stack(images).view(views, times, 3, height, width),
            present=grid.present,
            valid=valid,
            intrinsics=np.stack(
                [_intrinsics(cameras.get(name), m) for name, m in zip(grid.cameras, maps)]
            ),
            pixel_maps=maps,
            cameras=grid.cameras,
            stamps=grid.stamps,
            reference=grid.reference,
            dense_columns=DENSE_COLUMNS,
        )

    def _layout(self, camera: CameraModel | None) -> Layout | None:
        return None if camera is None else lay_out((camera.width, camera.height), self.size)


def _intrinsics(camera: CameraModel | None, pixel_map: PixelMap) -> np.ndarray:
    if camera is None or camera.intrinsics is None:
        return np.full((3, 3), np.nan)
    return pixel_map.intrinsics(camera.intrinsics)

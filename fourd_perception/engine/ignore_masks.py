"""The robot's own body in its images: pixels of which nothing is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
from fourd_perception.engine.cells import resize_image
from fourd_perception.engine.intake import Decode
from fourd_perception.engine.network_size import lay_out, Size
from fourd_perception.grid.frame import Frame
from fourd_perception.model.prediction import GridTensors
import numpy as np
import torch


def read_mask(path: Path) -> np.ndarray:
    """Bool [H, W]: the pixels of an image file that are not zero. Raises ValueError."""
    pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise ValueError(f'ignore_mask {path} cannot be read; give a PNG of one channel')
    return pixels != 0


class IgnoreMasks:
    """Takes ignored pixels out of `GridTensors.valid`, as padding is; all outputs follow.

    masks: bool [H, W] by camera, at the size of its images, True where they are ignored
    """

    def __init__(self, masks: Mapping[str, np.ndarray]) -> None:
        self._masks = masks
        self._laid_out: dict[tuple[str, Size], torch.Tensor] = {}

    def checking(self, decode: Decode) -> Decode:
        """`decode`, which refuses an image of another size than its mask."""

        def checked(frame: Frame) -> np.ndarray:
            image = decode(frame)
            mask = self._masks.get(frame.camera)
            if mask is not None and mask.shape != image.shape[:2]:
                raise ValueError(
                    f'the image is {image.shape[1]}x{image.shape[0]} pixels, its ignore_mask '
                    f'{mask.shape[1]}x{mask.shape[0]}; draw the mask on such an image'
                )
            return image

        return checked

    def cut(self, tensors: GridTensors) -> GridTensors:
        """The grid with every network pixel invalid that shows anything of an ignored one."""
        valid = tensors.valid.clone()
        for view, camera in enumerate(tensors.cameras):
            if camera in self._masks:
                valid[view] &= ~self._at_network_size(camera, valid)
        return replace(tensors, valid=valid)

    def _at_network_size(self, camera: str, valid: torch.Tensor) -> torch.Tensor:
        """Bool [H, W] of a camera, for `valid` [V, H, W]."""
        height, width = valid.shape[1:]
        key = camera, (width, height)
        if key not in self._laid_out:
            mask = self._masks[camera]
            layout = lay_out((mask.shape[1], mask.shape[0]), (width, height))
            shown = resize_image(mask.astype(np.float32), (layout.width, layout.height)) > 0
            ignored = np.zeros((height, width), bool)
            ignored[layout.rows, layout.columns] = shown
            self._laid_out[key] = torch.from_numpy(ignored).to(valid.device)
        return self._laid_out[key]

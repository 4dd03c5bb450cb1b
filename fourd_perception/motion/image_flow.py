"""Optical flow of pictures alone, for networks that give none."""

from __future__ import annotations

import cv2
import numpy as np
import torch

SMALLEST = 32  # pixels; the search reads beyond its memory in pictures of fewer than about 16


def image_flow(image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Flow float32 [2, H, W], pixels, from an image [3, H, W] in 0..1 to another of its camera.

    By dense inverse search, milliseconds on a CPU; good enough to tell still from moving.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (
        (255 * x.mean(0)).round().to('cpu', torch.uint8).contiguous().numpy()
        for x in (image, other)
    )
    height, width = first.shape
    below, right = max(0, SMALLEST - height), max(0, SMALLEST - width)
    if below or right:
        first, second = (
            cv2.copyMakeBorder(x, 0, below, 0, right, cv2.BORDER_REPLICATE)
            for x in (first, second)
        )
    start = np.zeros((*first.shape, 2), np.float32)
    flow = torch.from_numpy(search.calc(first, second, start)[:height, :width])
    return flow.permute(2, 0, 1).to(image.device)

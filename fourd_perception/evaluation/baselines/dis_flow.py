"""Optical flow by OpenCV's dense inverse search, as good as it gets without learning."""

from __future__ import annotations

import cv2
import numpy as np


def dis_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow float32 [h, w, 2], pixels (u right, v down), between images uint8 [h, w, 3] RGB.

    Preset medium, refined down to single pixels (finest scale 0). Kroeger et al., Fast Optical
    Flow using Dense Inverse Search, ECCV 2016. Raises ValueError for images that are too small
    for its patches.
    """
    if min(first.shape[:2]) < 32:
        raise ValueError(
            f'images of {first.shape[1]}x{first.shape[0]} px are too small for dense inverse '
            'search; give 32 px or more a side'
        )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)]
    return search.calc(grey[0], grey[1], np.zeros((*grey[0].shape, 2), np.float32))

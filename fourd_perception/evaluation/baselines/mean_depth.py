"""The mean depth image of the training scenes: what the layout of images gives away.

    python -m fourd_perception.evaluation.baselines.mean_depth

draws the training scenes anew and writes `mean_log_depth.npy` beside this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

import cv2
from fourd_perception.geometry.clips import Clips
import numpy as np
import torch

FILE = 'mean_log_depth.npy'
SIZE = (48, 64)
# So few pixels are known in some place of the images (the sky) that the mean would be noise.
FEWEST = 50


@lru_cache(maxsize=8)
def mean_depth(size: tuple[int, int]) -> np.ndarray:
    """Float32 [h, w] of any scale, for images of `size` (height, width)."""
    with (files(__package__) / FILE).open('rb') as file:
        log_depth = np.load(file).astype(np.float32)
    return np.exp(cv2.resize(log_depth, size[::-1], interpolation=cv2.INTER_LINEAR))


def mean_log_depth(clips: Iterable[Clips]) -> np.ndarray:
    """float16 [h, w]: mean of log depth, less its mean over each clip, over all images.

    Places that are hardly ever known take the value of the nearest place above or below that is.
    """
    total, count = np.zeros(SIZE), np.zeros(SIZE, int)
    for batch in clips:
        for clip in batch.depth.log().flatten(1, 2):
            centred = clip - clip.nanmean()
            small = torch.nn.functional.interpolate(centred[None], SIZE, mode='nearest')[0]
            known = small.isfinite()
            total += small.nan_to_num(0.0).sum(0).double().cpu().numpy()
            count += known.sum(0).cpu().numpy()
    return _filled(np.where(count >= FEWEST, total / np.maximum(count, 1), np.nan))


def _filled(image: np.ndarray) -> np.ndarray:
    """float16 image whose NaN are filled along each column from the nearest known row."""
    rows = np.arange(len(image))
    for column in image.T:
        known = np.isfinite(column)
        column[:] = np.interp(rows, rows[known], column[known])
    return image.astype(np.float16)

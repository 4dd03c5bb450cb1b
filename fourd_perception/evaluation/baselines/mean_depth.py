"""The mean depth image of the training scenes: what the layout of images gives away.

    python -m fourd_perception.evaluation.baselines.mean_depth

draws 1000 pairs of images from the seeds of trainings and writes `mean_log_depth.npy` beside this
file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import cv2
from fourd_perception.geometry.clips import Clips
from fourd_perception.synthetic.scenes import generate, SceneSpec
import numpy as np
from torch.nn import functional as F

FILE = 'mean_log_depth.npy'
SIZE = (48, 64)
# Trainings draw their seeds from here on (`training.sample_seeds`).
FIRST_SEED, CLIPS, BATCH = 1 << 31, 1000, 25
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
            small = F.interpolate(centred[None], SIZE, mode='nearest')[0]
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


def training_images() -> Iterator[Clips]:
    """Scenes as trainings see them, two images of each."""
    spec = SceneSpec(size=(96, 128), instants=2)
    for start in range(FIRST_SEED, FIRST_SEED + CLIPS, BATCH):
        yield generate(range(start, start + BATCH), spec)


if __name__ == '__main__':
    np.save(Path(__file__).parent / FILE, mean_log_depth(training_images()))

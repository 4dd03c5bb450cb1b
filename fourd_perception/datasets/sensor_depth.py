"""Depth images of sensors: 16-bit PNG, 0 and 65535 where nothing was measured."""

from __future__ import annotations

from pathlib import Path

from fourd_perception.datasets.files import read_png
import numpy as np

_SATURATED = 65535


def sensor_depth(raw: np.ndarray, per_metre: float) -> np.ndarray:
    """float32 [h, w] metres of raw values uint16 [h, w]; NaN where nothing was measured."""
    measured = (raw > 0) & (raw < _SATURATED)
    return np.where(measured, raw / np.float32(per_metre), np.float32(np.nan)).astype(np.float32)


def read_sensor_depth(path: Path, per_metre: float) -> np.ndarray:
    """float32 [h, w] metres of a PNG of 16 bits; NaN where nothing was measured."""
    return sensor_depth(read_png(path, np.uint16), per_metre)

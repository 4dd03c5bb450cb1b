"""Errors of depth, flow and masks against the truth (spec D.2, D.4, D.7).

Every function reads only the pixels that `valid` names and raises ValueError when there are none,
so that an empty comparison can never look like a perfect one.
"""

from __future__ import annotations

import numpy as np


def relative_error(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """|p - g| / g of every valid pixel, float64 [N]; depths in any one unit, truth > 0."""
    p, g = _select(predicted, truth, valid)
    return np.abs(p - g) / g


def abs_rel(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """Mean relative error of depth, AbsRel."""
    return float(relative_error(predicted, truth, valid).mean())


def delta(
    predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray, threshold: float = 1.25
) -> float:
    """Share of valid pixels with max(p / g, g / p) below `threshold`."""
    p, g = _select(predicted, truth, valid)
    return float((np.maximum(p / g, g / p) < threshold).mean())


def scale_error(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """Median of p / g, minus one: how much too large the whole scene is."""
    p, g = _select(predicted, truth, valid)
    return float(np.median(p / g)) - 1.0


def median_scale(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """The factor that takes predicted depths to the truth: exp of the median of log g - log p."""
    p, g = _select(predicted, truth, valid)
    return float(np.exp(np.median(np.log(g) - np.log(p))))


def scale_of_medians(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """The factor that single images are compared at: median of g over that of p (D.2 b)."""
    p, g = _select(predicted, truth, valid)
    return float(np.median(g) / np.median(p))


def endpoint_error(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Length of the flow error of every valid pixel, px [N]; flows are [..., 2]."""
    p, g = _select(predicted, truth, valid)
    return np.hypot(*(p - g).T)


def mask_iou(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    """Intersection over union of two boolean masks, J; 1 where both are empty, as in DAVIS."""
    p, g = _select(predicted, truth, valid, bool)
    union = np.count_nonzero(p | g)
    return float(np.count_nonzero(p & g) / union) if union else 1.0


def mask_mismatches(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> int:
    """Number of valid pixels at which two boolean masks differ."""
    p, g = _select(predicted, truth, valid, bool)
    return int(np.count_nonzero(p != g))


def _select(
    predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray, dtype: type = float
) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth, valid = np.asarray(predicted), np.asarray(truth), np.asarray(valid)
    if predicted.shape != truth.shape or predicted.shape[: valid.ndim] != valid.shape:
        raise ValueError(
            f'shapes differ: predicted {predicted.shape}, truth {truth.shape}, '
            f'valid {valid.shape}; bring both to one size first'
        )
    if not valid.any():
        raise ValueError('no valid pixel to compare; leave this image out of the mean')
    return predicted[valid].astype(dtype), truth[valid].astype(dtype)

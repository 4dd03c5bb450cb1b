"""Which pixels of an output can be compared with the truth."""

from __future__ import annotations

import cv2
from fourd_perception.synthetic.recording import dynamic_label, IGNORED
import numpy as np

# Metres by which depth may bend from pixel to pixel before the place counts as an edge. Linear
# interpolation over two pixels is off by this at most: half of what clouds may be off.
LARGEST_BEND = 5e-4


def near_edges(depth: np.ndarray, margin: int) -> np.ndarray:
    """Bool [h, w]: within `margin` pixels of an edge of the true depth; nowhere for margin 0.

    Inverse depth is affine in the pixel inside one plane, so its second differences tell steps,
    creases between planes and strong curvature alike: everything that an output interpolated
    between other pixels cannot follow. Depth in metres, NaN on the sky.
    """
    if margin == 0:
        return np.zeros(depth.shape, bool)
    depth = np.asarray(depth, float)
    inverse = np.nan_to_num(1.0 / depth)
    padded = np.pad(inverse, 1, mode='reflect', reflect_type='odd')
    across = padded[1:-1, :-2] - 2 * inverse + padded[1:-1, 2:]
    down = padded[:-2, 1:-1] - 2 * inverse + padded[2:, 1:-1]
    bend = np.maximum(np.abs(across), np.abs(down)) * depth**2
    # Not small, so that the sky, whose depth is NaN, is an edge too.
    return _grown(~(bend < LARGEST_BEND), margin)


def certain_labels(own_motion: np.ndarray, margin: int) -> np.ndarray:
    """uint8 [h, w]: `dynamic_label` where it is the same within `margin` pixels, else `IGNORED`.

    own_motion: pixels of the network's image; where the margin is not 0 its unit is known to 2 %
    only (images are laid into the network's with that much stretch), and the label must hold for
    both ends.
    """
    label = dynamic_label(own_motion)
    if margin == 0:
        return label
    uncertain = np.zeros(label.shape, bool)
    for stretch in (0.98, 1.02):
        other = dynamic_label(stretch * own_motion)
        low, high = _block(cv2.erode, other, margin), _block(cv2.dilate, other, margin)
        uncertain |= (low != high) | (high != label)
    return np.where(uncertain, IGNORED, label).astype(np.uint8)


def _grown(mask: np.ndarray, margin: int) -> np.ndarray:
    return _block(cv2.dilate, mask.astype(np.uint8), margin).astype(bool)


def _block(operation: object, image: np.ndarray, margin: int) -> np.ndarray:
    side = 2 * margin + 1
    return operation(image, np.ones((side, side), np.uint8))  # type: ignore[operator]

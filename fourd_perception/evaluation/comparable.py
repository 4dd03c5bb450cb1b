"""Which pixels of an output can be compared with the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

import cv2
from fourd_perception.geometry.clips import IGNORED
from fourd_perception.geometry.dynamic_label import dynamic_label
import numpy as np

# Metres by which depth may bend from pixel to pixel before the place counts as an edge. Linear
# interpolation over two pixels is off by this at most: half of what clouds may be off.
LARGEST_BEND = 5e-4


class LeftOut:
    """How many pixels cannot be compared, by output and by the reason."""

    def __init__(self) -> None:
        self._pixels: Counter[str] = Counter()
        self._reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def compared(
        self, what: str, pixels: np.ndarray, reasons: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Bool [h, w]: the `pixels` of an output that no reason speaks against.

        reasons: in words -> bool [h, w]; a pixel counts under the first that speaks against it
        """
        self._pixels[what] += int(pixels.sum())
        for reason, against in reasons.items():
            self._reasons[what][reason] += int((pixels & against).sum())
            pixels = pixels & ~against
        return pixels

    def __str__(self) -> str:
        """All in one line, such as `depth 12.1 % (sky 0.2 %, near an edge 11.9 %), flow 0 %`."""
        return ', '.join(self._told(what) for what in self._pixels)

    def _told(self, what: str) -> str:
        def share(count: int) -> str:
            return f'{100 * count / max(self._pixels[what], 1):.3g} %'

        found = {reason: n for reason, n in self._reasons[what].items() if n}
        why = ', '.join(f'{reason} {share(n)}' for reason, n in found.items())
        return f'{what} {share(sum(found.values()))}' + (f' ({why})' if why else '')


def near_edges(depth: np.ndarray, margin: int) -> np.ndarray:
    """Bool [h, w]: within `margin` pixels of an edge of the true depth; nowhere for margin 0.

    Inverse depth is affine in the pixel inside one plane, so its second differences tell steps,
    creases between planes and strong curvature alike: everything that an output interpolated
    between other pixels cannot follow. Depth in metres, NaN on the sky.
    """
    if margin == 0:
        return np.zeros(depth.shape, bool)
    depth = np.asarray(depth, float)
    bend = _bend(np.nan_to_num(1.0 / depth)) * depth**2
    # Not small, so that the sky, whose depth is NaN, is an edge too.
    return _grown(~(bend < LARGEST_BEND), margin)


def _bend(image: np.ndarray) -> np.ndarray:
    """Larger of the second differences [h, w] along both axes; NaN beside NaN."""
    padded = np.pad(image, 1, mode='reflect', reflect_type='odd')
    across = padded[1:-1, :-2] - 2 * image + padded[1:-1, 2:]
    down = padded[:-2, 1:-1] - 2 * image + padded[2:, 1:-1]
    return np.maximum(np.abs(across), np.abs(down))


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

"""How well a flow explains an image by another one, where nobody knows the true flow."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

# Flow there and back may disagree by this share of both lengths squared, and this many square
# pixels (Sundaram, Brox, Keutzer, ECCV 2010).
SHARE, FLOOR = 0.01, 0.5


def fetched(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Float32 [h, w, c]: the other image [h, w, c] at where flow [h, w, 2] leads, bilinear.

    NaN outside its pixel centres, and where the flow is NaN.
    """
    row, column = np.indices(flow.shape[:2])
    there = np.stack([row + flow[..., 1], column + flow[..., 0]])
    channels = [
        map_coordinates(image[..., c].astype(np.float32), there, order=1, cval=np.nan)
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def consistent(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Bool [h, w]: where backward flow [h, w, 2] leads from the flow's end to its beginning."""
    back = fetched(backward, forward)
    apart = ((forward + back) ** 2).sum(axis=-1)
    limit = SHARE * ((forward**2).sum(axis=-1) + (back**2).sum(axis=-1)) + FLOOR
    return apart < limit  # NaN is not below


def photometric_error(first: np.ndarray, second: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Float32 [h, w]: mean difference of the channels, in levels of uint8 images [h, w, 3].

    Between the first image and the second at where flow [h, w, 2] leads; NaN outside.
    """
    return np.abs(fetched(second, flow) - first.astype(np.float32)).mean(axis=-1)

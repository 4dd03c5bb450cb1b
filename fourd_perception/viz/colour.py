"""Arrays of numbers as colour images: look-up tables in numpy and OpenCV, quick enough to publish.

All functions give uint8 [h, w, 3] RGB. What is not known is dark grey, in flow black.
"""

from __future__ import annotations

import cv2
from fourd_perception.engine.scene_update import Label
import numpy as np

UNKNOWN_RGB = (58, 60, 64)
DYNAMIC_RGB = (255, 88, 20)
HATCH_RGB = (125, 128, 132)
HATCH_PERIOD = 8

# Segments of the colour wheel of Baker et al., "A Database and Evaluation Methodology for Optical
# Flow" (Middlebury): number of hues on the way from each corner to the next, and the corner.
WHEEL_SEGMENTS = (
    (15, (255, 0, 0)),
    (6, (255, 255, 0)),
    (4, (0, 255, 0)),
    (11, (0, 255, 255)),
    (13, (0, 0, 255)),
    (6, (255, 0, 255)),
)
BEYOND_WHEEL = 0.75


def depth_range(*depths: np.ndarray) -> tuple[float, float]:
    """(near, far) that hold the 2nd to the 98th percentile of all positive finite depths.

    One range for all cameras makes their pictures comparable. (1, 2) where nothing is known.
    """
    known = np.concatenate([d[np.isfinite(d) & (d > 0)] for d in depths] or [np.empty(0)])
    if not known.size:
        return 1.0, 2.0
    near, far = (float(x) for x in np.percentile(known, (2.0, 98.0)))
    return near, max(far, near * 1.01)


def depth_to_rgb(
    depth: np.ndarray, near: float | None = None, far: float | None = None
) -> np.ndarray:
    """Depth [h, w]: near is bright, far is dark, even steps of inverse depth in between.

    Inverse depth gives near structure its contrast, as disparity does. near, far: same unit as
    the depth; `depth_range` of this image where not given. Not finite or not positive: unknown.
    """
    lower, upper = depth_range(depth)
    near, far = near or lower, far or upper
    if not 0 < near < far:
        raise ValueError(f'depth colours run from near {near} to far {far}; give 0 < near < far')
    known = np.where(np.isfinite(depth) & (depth > 0), depth, np.nan)
    return _mapped((1.0 / known - 1.0 / far) / (1.0 / near - 1.0 / far), DEPTH_TABLE)


def confidence_to_rgb(confidence: np.ndarray) -> np.ndarray:
    """Confidence [h, w] in 0..1: dark blue to bright yellow; 0 and NaN are invalid: unknown."""
    return _mapped(np.where(confidence > 0, confidence, np.nan), CONFIDENCE_TABLE)


def label_overlay(rgb: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Lay labels [h, w] (`Label`) on an image [h, w, 3].

    Static is left as it is, dynamic is tinted warm with a bright rim, unknown greyed and hatched.
    """
    if rgb.shape[:2] != label.shape:
        raise ValueError(
            f'labels of {label.shape[1]}x{label.shape[0]} pixels do not lie on an image of '
            f'{rgb.shape[1]}x{rgb.shape[0]}; resize the image to the labels'
        )
    out = rgb.astype(np.float32)
    dynamic, unknown = label == Label.DYNAMIC, label == Label.UNKNOWN
    out[dynamic] = 0.45 * out[dynamic] + 0.55 * np.array(DYNAMIC_RGB, np.float32)
    inner = cv2.erode(dynamic.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    out[dynamic & (inner == 0)] = DYNAMIC_RGB
    row, column = np.ogrid[: label.shape[0], : label.shape[1]]
    hatch = (row + column) % HATCH_PERIOD < HATCH_PERIOD // 4
    grey = out[unknown].mean(axis=-1, keepdims=True)
    out[unknown] = 0.35 * grey + 0.65 * np.array(UNKNOWN_RGB, np.float32)
    out[unknown & hatch] = HATCH_RGB
    return out.round().astype(np.uint8)


def flow_to_rgb(flow: np.ndarray, max_px: float | None = None) -> np.ndarray:
    """Flow [h, w, 2] (u right, v down, pixels) on the colour wheel of Middlebury.

    Hue is the direction (right red, down yellow-green, left cyan-blue, up violet), white is no
    motion, full colour a motion of `max_px`, darker beyond. max_px: `flow_range` of this image
    where not given. NaN is black.
    """
    u, v = np.nan_to_num(flow[..., 0], nan=0.0), np.nan_to_num(flow[..., 1], nan=0.0)
    radius = (np.hypot(u, v) / (max_px or flow_range(flow)))[..., None]
    place = (np.arctan2(-v, -u) / np.pi + 1.0) / 2.0 * (len(WHEEL) - 1)
    lower = np.floor(place).astype(int)
    share = (place - lower)[..., None]
    hue = (1.0 - share) * WHEEL[lower] + share * WHEEL[(lower + 1) % len(WHEEL)]
    colour = np.where(radius <= 1.0, 1.0 - radius * (1.0 - hue), BEYOND_WHEEL * hue)
    colour[np.isnan(flow).any(axis=-1)] = 0.0
    return np.floor(255.0 * colour).astype(np.uint8)


def flow_range(*flows: np.ndarray) -> float:
    """Length in pixels of full colour: the 95th percentile of all flows, at least one pixel.

    The floor keeps the noise of a standing camera white.
    """
    lengths = np.concatenate([np.hypot(f[..., 0], f[..., 1]).ravel() for f in flows] or [[]])
    lengths = lengths[np.isfinite(lengths)]
    return max(1.0, float(np.percentile(lengths, 95.0))) if lengths.size else 1.0


def _mapped(level: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Colours of levels [h, w] in 0..1 (clipped), NaN unknown."""
    known = np.isfinite(level)
    index = np.clip(np.where(known, level, 0.0) * 255.0, 0.0, 255.0).round().astype(np.uint8)
    rgb = table[index]
    rgb[~known] = UNKNOWN_RGB
    return rgb


def _wheel() -> np.ndarray:
    """float64 [55, 3] in 0..1: the hues of the wheel, from the one of motion to the right on."""
    corners = [np.array(corner, float) / 255.0 for _, corner in WHEEL_SEGMENTS]
    return np.concatenate(
        [
            start + (end - start) * np.arange(count)[:, None] / count
            for (count, _), start, end in zip(
                WHEEL_SEGMENTS, corners, corners[1:] + corners[:1], strict=True
            )
        ]
    )


def _table(colormap: int, first: int) -> np.ndarray:
    """uint8 [256, 3] RGB of an OpenCV map, its entries below `first` left out."""
    levels = np.linspace(first, 255, 256).round().astype(np.uint8)[:, None]
    return cv2.applyColorMap(levels, colormap)[:, 0, ::-1].copy()


WHEEL = _wheel()
# The dark end is cut: far must differ from unknown.
DEPTH_TABLE = _table(cv2.COLORMAP_INFERNO, 40)
CONFIDENCE_TABLE = _table(cv2.COLORMAP_VIRIDIS, 0)

"""What moves, from optical flow alone: what one homography does not explain."""

from __future__ import annotations

import cv2
from fourd_perception.geometry.dynamic_label import MOVES
from fourd_perception.motion.otsu import histogram, multi_otsu
import numpy as np
import torch

# Samples of the flow that RANSAC is given, and what it takes for explained, pixels.
STRIDE = 4
EXPLAINED = 1.0


def homography_residual(flow: np.ndarray) -> np.ndarray:
    """Length float32 [h, w], pixels, of flow [h, w, 2] minus its dominant homography.

    The homography is RANSAC's over a grid of pixels; without one that explains at least four,
    flow minus its median.
    """
    height, width = flow.shape[:2]
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    part = slice(None, None, STRIDE), slice(None, None, STRIDE)
    source = pixels[part].reshape(-1, 2)
    target = source + flow[part].reshape(-1, 2)
    cv2.setRNGSeed(0)
    homography, _ = cv2.findHomography(source, target, cv2.RANSAC, EXPLAINED)
    if homography is None:
        return np.linalg.norm(flow - np.median(flow, axis=(0, 1)), axis=-1)
    still = cv2.perspectiveTransform(pixels.reshape(-1, 1, 2), homography).reshape(flow.shape)
    return np.linalg.norm(pixels + flow - still, axis=-1)


def homography_mask(flow: np.ndarray) -> np.ndarray:
    """Bool [h, w]: residual above the threshold of Otsu (training.md 3.11), and above 1 px.

    Otsu always finds two classes; what moves by less than a pixel is not moving (B.16).
    """
    residual = torch.from_numpy(np.ascontiguousarray(homography_residual(flow)))
    threshold = float(multi_otsu(histogram(residual), 2)[0]) if residual.amax() > MOVES else MOVES
    return (residual > max(threshold, MOVES)).numpy()

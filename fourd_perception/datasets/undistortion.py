"""Images of lenses with distortion, and depth that is registered to them, made pinhole images."""

from __future__ import annotations

from dataclasses import dataclass
import functools

import cv2
import numpy as np


@dataclass(frozen=True)
class Lens:
    """A camera with OpenCV's plumb-bob distortion, in pixels, (0, 0) centred at (0, 0).

    focal, centre: (x, y); distortion: k1, k2, p1, p2, k3, empty for a pinhole
    """

    focal: tuple[float, float]
    centre: tuple[float, float]
    distortion: tuple[float, ...] = ()

    @property
    def intrinsics(self) -> np.ndarray:
        """float64 [3, 3] of the image as it is and as it is undistorted."""
        (fx, fy), (cx, cy) = self.focal, self.centre
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    def image(self, image: np.ndarray) -> np.ndarray:
        """Undistorted image uint8 [H, W, 3]; beyond the old border its pixels are repeated."""
        if not any(self.distortion):
            return image
        maps = _maps(self, image.shape[:2])
        return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def depth(self, depth: np.ndarray) -> np.ndarray:
        """Undistorted dense depth float32 [H, W]: the nearest pixel's; NaN outside the old one."""
        if not any(self.distortion):
            return depth
        maps = _maps(self, depth.shape[:2])
        nan = float('nan')
        return cv2.remap(
            depth, *maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=nan
        )

    def scattered_depth(self, depth: np.ndarray) -> np.ndarray:
        """Undistorted sparse depth float32 [H, W]: every known pixel is moved, the nearer wins."""
        if not any(self.distortion):
            return depth
        rows, columns = np.nonzero(~np.isnan(depth))
        pixels = np.stack([columns, rows], axis=1).astype(np.float64)[:, None]
        ideal = cv2.undistortPoints(
            pixels, self.intrinsics, np.array(self.distortion), P=self.intrinsics
        )
        return splat(np.round(ideal.reshape(-1, 2)), depth[rows, columns], depth.shape)


def splat(pixels: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Depth float32 [H, W] of points at whole pixels [N, 2] (x, y); the nearest of each wins.

    Pixels outside the image are left out, pixels that no point falls into are NaN.
    """
    x, y = pixels.T
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    image = np.full(size, np.inf, np.float32)
    place = y[inside].astype(int), x[inside].astype(int)
    np.minimum.at(image, place, depth[inside].astype(np.float32))
    image[np.isinf(image)] = np.nan
    return image


@functools.lru_cache(maxsize=16)
def _maps(lens: Lens, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return cv2.initUndistortRectifyMap(
        lens.intrinsics,
        np.array(lens.distortion),
        None,
        lens.intrinsics,
        size[::-1],
        cv2.CV_32FC1,
    )

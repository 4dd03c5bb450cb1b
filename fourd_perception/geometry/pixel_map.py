"""The affine map between the pixels of an image and of a resized, cropped or padded copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PixelMap:
    """x_out = (x_in + 0.5) * scale_x - 0.5 + offset_x, and the same for y.

    Pixel (0, 0) has its centre at (0, 0): resizing by s gives f' = s f, c' = (c + 0.5) s - 0.5;
    a crop that starts at `offset` is PixelMap(1, 1, -offset_x, -offset_y) (design section 3).
    """

    scale_x: float = 1.0
    scale_y: float = 1.0
    offset_x: float = 0.0
    offset_y: float = 0.0

    @staticmethod
    def resize(size_in: tuple[int, int], size_out: tuple[int, int]) -> PixelMap:
        """Map of a plain resize between (width, height) sizes."""
        return PixelMap(size_out[0] / size_in[0], size_out[1] / size_in[1])

    def matrix(self) -> np.ndarray:
        """float64 [3, 3] acting on homogeneous pixels (x, y, 1) of the input image."""
        return np.array(
            [
                [self.scale_x, 0.0, 0.5 * self.scale_x - 0.5 + self.offset_x],
                [0.0, self.scale_y, 0.5 * self.scale_y - 0.5 + self.offset_y],
                [0.0, 0.0, 1.0],
            ]
        )

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Map pixels [..., 2] (x, y) of the input image to the output image."""
        scale = np.array([self.scale_x, self.scale_y])
        return (np.asarray(pixels, float) + 0.5) * scale - 0.5 + [self.offset_x, self.offset_y]

    def intrinsics(self, intrinsics: np.ndarray) -> np.ndarray:
        """Camera matrix [..., 3, 3] of the output image."""
        return self.matrix() @ intrinsics

    def inverse(self) -> PixelMap:
        """The map back from output pixels to input pixels."""
        sx, sy = 1.0 / self.scale_x, 1.0 / self.scale_y
        return PixelMap(sx, sy, -self.offset_x * sx, -self.offset_y * sy)

    def then(self, second: PixelMap) -> PixelMap:
        """This map followed by `second`."""
        return PixelMap(
            self.scale_x * second.scale_x,
            self.scale_y * second.scale_y,
            self.offset_x * second.scale_x + second.offset_x,
            self.offset_y * second.scale_y + second.offset_y,
        )

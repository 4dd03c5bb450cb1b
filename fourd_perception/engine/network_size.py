"""One network size for all cameras, and how each image is laid into it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from statistics import median

from fourd_perception.geometry.pixel_map import PixelMap

Size = tuple[int, int]  # width, height

MAX_ANISOTROPY = 0.02


def network_size(images: Collection[Size], patch: int, pixel_budget: int) -> Size:
    """The (width, height), multiples of `patch`, for cameras with these image sizes.

    Of all sizes within the budget, the one that shows an image of the median aspect with most
    pixels, padding not counted. Raises ValueError when not even one patch is within the budget.
    """
    if pixel_budget < patch * patch:
        raise ValueError(
            f'pixel budget {pixel_budget} is less than one patch of {patch}x{patch}; raise it'
        )
    aspect = median(width / height for width, height in images)
    most = pixel_budget // (patch * patch)
    sizes = [(w * patch, most // w * patch) for w in range(1, most + 1)]
    sizes += [(most // h * patch, h * patch) for h in range(1, most + 1)]

    def shown(size: Size) -> float:
        layout = lay_out((round(aspect * 10_000), 10_000), size)
        return layout.width * layout.height

    return max(sizes, key=shown)


@dataclass(frozen=True)
class Layout:
    """Where an image lies in the network image: resized to width x height, put at left, top."""

    image: Size
    left: int
    top: int
    width: int
    height: int

    @property
    def pixel_map(self) -> PixelMap:
        """From pixels of the image to pixels of the network image."""
        resize = PixelMap.resize(self.image, (self.width, self.height))
        return resize.then(PixelMap(1.0, 1.0, self.left, self.top))

    @property
    def rows(self) -> slice:
        """Rows of the network image that show the image."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the network image that show the image."""
        return slice(self.left, self.left + self.width)


def lay_out(image: Size, network: Size) -> Layout:
    """Stretch an image over the network image where that distorts it by 2 % at most.

    Beyond that it keeps its aspect, to the nearest whole pixel, between two bands of padding.
    """
    scale_x, scale_y = network[0] / image[0], network[1] / image[1]
    scale = min(scale_x, scale_y)
    if max(scale_x, scale_y) <= scale * (1.0 + MAX_ANISOTROPY):
        return Layout(image, 0, 0, *network)
    width, height = max(round(image[0] * scale), 2), max(round(image[1] * scale), 2)
    left, top = (network[0] - width) // 2, (network[1] - height) // 2
    return Layout(image, left, top, width, height)

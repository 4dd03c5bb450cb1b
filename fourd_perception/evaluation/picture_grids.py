"""Pictures of any size as the grid that a predictor reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.engine.cells import resize_image
from fourd_perception.engine.network_size import lay_out, Layout, network_size
from fourd_perception.evaluation.clip_grids import NANOSECONDS
from fourd_perception.model.prediction import GridTensors
import numpy as np
import torch

# Of one image: what a network of 256x192 was trained and is scored at.
PIXEL_BUDGET = 256 * 192


@dataclass(frozen=True, eq=False)
class Pictures:
    """V views of T instants, laid into images of one network size.

    images:     uint8 [V, T, H, W, 3] RGB
    layouts:    per view, where its pictures lie in the images
    intrinsics: float64 [V, 3, 3] of the images; NaN where unknown
    seconds:    float64 [T]
    """

    images: np.ndarray
    layouts: tuple[Layout, ...]
    intrinsics: np.ndarray
    seconds: np.ndarray

    def grid(self, times: Sequence[int]) -> GridTensors:
        """Some of the instants as a grid, all of whose columns want maps."""
        views, _, height, width, _ = self.images.shape
        images = torch.from_numpy(self.images[:, times]).permute(0, 1, 4, 2, 3)
        valid = torch.zeros(views, height, width, dtype=torch.bool)
        for view, layout in enumerate(self.layouts):
            valid[view, layout.rows, layout.columns] = True
        stamps = np.round(self.seconds[times] * NANOSECONDS).astype(np.int64)
        return GridTensors(
            images=images.float() / 255.0,
            present=np.ones((views, len(times)), bool),
            valid=valid,
            intrinsics=self.intrinsics,
            pixel_maps=tuple(layout.pixel_map for layout in self.layouts),
            cameras=tuple(f'camera{view}' for view in range(views)),
            stamps=np.tile(stamps, (views, 1)),
            reference=(0, 0),
        )


def lay_pictures(
    pictures: Sequence[Sequence[np.ndarray]],
    intrinsics: Sequence[np.ndarray | None],
    seconds: Sequence[float],
    patch: int,
) -> Pictures:
    """Lay pictures [V][T], each uint8 [h, w, 3], into one size as the engine does.

    intrinsics: per view [3, 3] of its pictures, all of one size; None where unknown
    patch:      of the network, pixels
    """
    sizes = [(view[0].shape[1], view[0].shape[0]) for view in pictures]
    width, height = network_size(sizes, patch, PIXEL_BUDGET)
    layouts = tuple(lay_out(size, (width, height)) for size in sizes)
    images = np.zeros((len(pictures), len(seconds), height, width, 3), np.uint8)
    for view, layout in enumerate(layouts):
        for time, picture in enumerate(pictures[view]):
            small = resize_image(picture, (layout.width, layout.height))
            images[view, time, layout.rows, layout.columns] = small
    known = [
        np.full((3, 3), np.nan) if k is None else layout.pixel_map.intrinsics(k)
        for k, layout in zip(intrinsics, layouts)
    ]
    return Pictures(images, layouts, np.stack(known), np.asarray(seconds, float))

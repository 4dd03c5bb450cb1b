"""One image of a data set with what the set knows of it, and the same at another size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
from fourd_perception.geometry.clips import IGNORED, UNKNOWN
from fourd_perception.geometry.pixel_map import PixelMap
import numpy as np


@dataclass(frozen=True, eq=False)
class Tracks:
    """Where points fixed to surfaces are at the instant of one image.

    points:  [N, 3] in the world; NaN unknown
    visible: bool [N]: seen in this image
    """

    points: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True, eq=False)
class RawFrame:
    """One image and its truth; None for what the set does not know.

    Maps may have sizes of their own: all cover the field of view of the image.

    image:             uint8 [H, W, 3] RGB
    seconds:           from any origin common to the recording
    intrinsics:        [3, 3] of the image, pixel (0, 0) centred at (0, 0)
    world_from_camera: [4, 4], OpenCV axes (x right, y down, z forward)
    depth:             float32 [h, w] along z; NaN unknown, inf on the sky
    flow_forward, flow_backward: float32 [h, w, 2] to the same view's next and previous frame,
                       u right, v down, in pixels of this map; NaN unknown
    occluded_forward, occluded_backward: uint8 [h, w] `VISIBLE`, `OCCLUDED` or `UNKNOWN`; None:
                       found by the consistency of the two flows
    dynamic:           uint8 [h, w] `STATIC`, `DYNAMIC` or `IGNORED`; None: found from own motion
    instances:         int16 [h, w], 0 background, -1 unknown
    tracks:            points of the recording, the same N in every frame that has them
    sparse:            depth and flow are known at scattered pixels (projected lidar)
    ego_flow:          flow was computed from depth and poses: it tells of no own motion
    """

    image: np.ndarray
    seconds: float = float('nan')
    intrinsics: np.ndarray | None = None
    world_from_camera: np.ndarray | None = None
    depth: np.ndarray | None = None
    flow_forward: np.ndarray | None = None
    flow_backward: np.ndarray | None = None
    occluded_forward: np.ndarray | None = None
    occluded_backward: np.ndarray | None = None
    dynamic: np.ndarray | None = None
    instances: np.ndarray | None = None
    tracks: Tracks | None = None
    sparse: bool = False
    ego_flow: bool = False


def fitted(frame: RawFrame, size: tuple[int, int], place: tuple[float, float]) -> RawFrame:
    """The frame cropped to the aspect of size (height, width) and resized to it.

    place: (x, y) in 0..1 of the crop between the left or upper end and the right or lower one.
    Images are averaged; everything else takes the value at the pixel nearest to the new centre:
    a mean of two surfaces lies on neither. Sparse depth and flow take the known pixel nearest to
    the centre among those that fall into the new pixel.
    """
    sampler = _Sampler.of(frame.image, size, place)
    return replace(
        frame,
        image=sampler.image(frame.image),
        intrinsics=sampler.intrinsics(frame.intrinsics),
        depth=sampler.values(frame.depth, np.nan, frame.sparse),
        flow_forward=sampler.flow(frame.flow_forward, frame.sparse),
        flow_backward=sampler.flow(frame.flow_backward, frame.sparse),
        occluded_forward=sampler.values(frame.occluded_forward, UNKNOWN, frame.sparse),
        occluded_backward=sampler.values(frame.occluded_backward, UNKNOWN, frame.sparse),
        dynamic=sampler.values(frame.dynamic, IGNORED, frame.sparse),
        instances=sampler.values(frame.instances, -1),
    )


@dataclass(frozen=True)
class _Sampler:
    """From the part `box` (x, y, width, height in pixels) of an image of `source` to `size`."""

    source: tuple[int, int]
    box: tuple[int, int, int, int]
    size: tuple[int, int]

    @staticmethod
    def of(image: np.ndarray, size: tuple[int, int], place: tuple[float, float]) -> _Sampler:
        height, width = image.shape[:2]
        scale = min(height / size[0], width / size[1])
        wide, high = round(size[1] * scale), round(size[0] * scale)
        left, top = round(place[0] * (width - wide)), round(place[1] * (height - high))
        return _Sampler((height, width), (left, top, wide, high), size)

    def image(self, image: np.ndarray) -> np.ndarray:
        left, top, wide, high = self.box
        part = image[top : top + high, left : left + wide]
        method = cv2.INTER_AREA if wide >= self.size[1] else cv2.INTER_LINEAR
        return cv2.resize(part, self.size[::-1], interpolation=method)

    def intrinsics(self, intrinsics: np.ndarray | None) -> np.ndarray | None:
        if intrinsics is None:
            return None
        left, top, wide, high = self.box
        cropped = PixelMap(offset_x=-left, offset_y=-top)
        return cropped.then(PixelMap.resize((wide, high), self.size[::-1])).intrinsics(intrinsics)

    def values(
        self, values: np.ndarray | None, unknown: float, sparse: bool = False
    ) -> np.ndarray | None:
        """A map at the new size."""
        if values is None:
            return None
        return self._nearest_known(values, unknown) if sparse else self._nearest(values)

    def flow(self, flow: np.ndarray | None, sparse: bool) -> np.ndarray | None:
        """A map of flow at the new size and in its pixels."""
        sampled = self.values(flow, np.nan, sparse)
        if flow is None or sampled is None:
            return None
        return sampled * np.array(self._scale(flow), np.float32)

    def _scale(self, values: np.ndarray) -> tuple[float, float]:
        """New pixels per pixel of a map, across and down."""
        (height, width), (_, _, wide, high) = self.source, self.box
        across = self.size[1] / wide * width / values.shape[1]
        return across, self.size[0] / high * height / values.shape[0]

    def _nearest(self, values: np.ndarray) -> np.ndarray:
        across, down = self._scale(values)
        left, top = self._corner(values)
        columns = np.floor(left + (np.arange(self.size[1]) + 0.5) / across).astype(int)
        rows = np.floor(top + (np.arange(self.size[0]) + 0.5) / down).astype(int)
        return values[rows[:, None], columns]

    def _nearest_known(self, values: np.ndarray, unknown: float) -> np.ndarray:
        across, down = self._scale(values)
        left, top = self._corner(values)
        known = ~np.isnan(values) if np.isnan(unknown) else values != unknown
        known = known.reshape(*values.shape[:2], -1).all(axis=-1)
        rows, columns = np.nonzero(known)
        x, y = (columns + 0.5 - left) * across, (rows + 0.5 - top) * down
        inside = (x >= 0) & (x < self.size[1]) & (y >= 0) & (y < self.size[0])
        x, y, rows, columns = x[inside], y[inside], rows[inside], columns[inside]
        column, row = x.astype(int), y.astype(int)
        # Of values put into one pixel the last stays: the one nearest to the centre.
        order = np.argsort(-np.hypot(x - column - 0.5, y - row - 0.5), kind='stable')
        out = np.full((*self.size, *values.shape[2:]), unknown, values.dtype)
        out[row[order], column[order]] = values[rows[order], columns[order]]
        return out

    def _corner(self, values: np.ndarray) -> tuple[float, float]:
        """Left and upper edge of the box in pixels of a map."""
        (height, width), (left, top, _, _) = self.source, self.box
        return left * values.shape[1] / width, top * values.shape[0] / height

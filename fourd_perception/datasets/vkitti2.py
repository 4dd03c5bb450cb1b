"""Virtual KITTI 2 (Cabon et al., 2020): five rendered streets in many lights, by a stereo pair.

The archives rgb, depth, textgt and, where there, forwardFlow, backwardFlow and
instanceSegmentation, extracted into one folder. Licence: CC BY-NC-SA 3.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    folders,
    frame_numbers,
    read_palette,
    read_png,
    read_rgb,
    read_table,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.poses import invert
import numpy as np

_RATE = 10.0
_CAMERAS = 2
# Centimetres; the largest number is the sky.
_SKY = 65535


def open_vkitti2(root: Path) -> DataSet:
    """Virtual KITTI 2 under `root`, which holds `Scene01/`...; both cameras are views.

    Depth, poses and intrinsics in metres. Flow and instances are unknown where their archive is
    not extracted.
    """
    recordings = []
    for scene in folders(root, 'Scene01, Scene02, ...'):
        for variation in folders(scene, 'clone, fog, ...'):
            frames = frame_numbers(variation / 'frames/rgb/Camera_0', 'rgb_%05d.jpg')
            tables = (
                read_table(variation / 'intrinsic.txt', 6, skip=1),
                read_table(variation / 'extrinsic.txt', 18, skip=1),
            )
            reader = _Reader(variation, frames, *tables)
            name = f'{scene.name}/{variation.name}'
            recordings.append(Recording(name, _CAMERAS, len(frames), reader.read))
    return DataSet('vkitti2', metric=True, recordings=tuple(recordings))


@dataclass(frozen=True, eq=False)
class _Reader:
    variation: Path
    frames: range
    intrinsic: np.ndarray
    extrinsic: np.ndarray

    def read(self, view: int, instant: int) -> RawFrame:
        number = self.frames[instant]
        image = read_rgb(self._file('rgb', view, f'rgb_{number:05d}.jpg'))
        size = image.shape[:2]
        path = self._file('depth', view, f'depth_{number:05d}.png')
        depth = require_size(path, read_png(path, np.uint16), size)
        forward = backward = instances = None
        if instant + 1 < len(self.frames):
            forward = self._flow('forwardFlow', view, f'flow_{number:05d}.png', size)
        if instant > 0:
            backward = self._flow('backwardFlow', view, f'backwardFlow_{number:05d}.png', size)
        if self._has('instanceSegmentation'):
            path = self._file('instanceSegmentation', view, f'instancegt_{number:05d}.png')
            instances = require_size(path, read_palette(path), size).astype(np.int16)
        fx, fy, cx, cy = self._row('intrinsic', number, view)
        return RawFrame(
            image,
            instant / _RATE,
            np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
            invert(self._row('extrinsic', number, view).reshape(4, 4)),
            np.where(depth == _SKY, np.inf, depth / 100.0).astype(np.float32),
            forward,
            backward,
            instances=instances,
        )

    def _has(self, kind: str) -> bool:
        return (self.variation / 'frames' / kind).is_dir()

    def _file(self, kind: str, view: int, name: str) -> Path:
        return self.variation / 'frames' / kind / f'Camera_{view}' / name

    def _flow(self, kind: str, view: int, name: str, size: tuple[int, int]) -> np.ndarray | None:
        """Flow [h, w, 2]: 2 n / 65535 - 1 in R and G, times width - 1, height - 1; B: known."""
        if not self._has(kind):
            return None
        path = self._file(kind, view, name)
        values = require_size(path, read_png(path, np.uint16, channels=3), size)
        extent = np.array([size[1] - 1, size[0] - 1])
        flow = (values[..., :2] * (2.0 / 65535.0) - 1.0) * extent
        return np.where(values[..., 2:] > 0, flow, np.nan).astype(np.float32)

    def _row(self, name: str, number: int, view: int) -> np.ndarray:
        """What a table says after "frame camera" of one image."""
        table = getattr(self, name)
        rows = table[(table[:, 0] == number) & (table[:, 1] == view), 2:]
        if len(rows) != 1:
            path = self.variation / f'{name}.txt'
            raise DataSetError(f'{path} has {len(rows)} rows of frame {number}, camera {view}')
        return rows[0]

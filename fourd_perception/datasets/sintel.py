"""MPI Sintel (Butler et al., ECCV 2012): a rendered film with depth, cameras and flow.

`training/` of the archives MPI-Sintel-complete and MPI-Sintel-depth-training. Licence: for
research; the film itself is CC BY 3.0 (Blender Foundation).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    folders,
    frame_numbers,
    read_bytes,
    read_png,
    read_rgb,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.clips import OCCLUDED, VISIBLE
from fourd_perception.geometry.poses import invert
import numpy as np

_RATE = 24.0
_TAG = np.float32(202021.25)
# Farther than anything that was modelled.
_SKY = 1e4


def open_sintel(root: Path, rendering: str = 'final') -> DataSet:
    """Sintel under `root`, which holds `training/`; rendering: `final` or `clean`.

    Depth in the units of the film, which are no metres; flow forward only. Depth and cameras are
    unknown where their archive is not extracted.
    """
    training = root / 'training'
    recordings = []
    for folder in folders(training / rendering, 'the sequences of Sintel'):
        frames = frame_numbers(folder, 'frame_%04d.png')
        reader = _Reader(training, rendering, folder.name, frames)
        recordings.append(Recording(folder.name, 1, len(frames), reader.read))
    return DataSet('sintel', metric=False, recordings=tuple(recordings))


@dataclass(frozen=True)
class _Reader:
    training: Path
    rendering: str
    sequence: str
    frames: range

    def read(self, view: int, instant: int) -> RawFrame:
        image = read_rgb(self._file(self.rendering, instant, 'png'))
        size = image.shape[:2]
        intrinsics = pose = depth = flow = occluded = None
        if (self.training / 'depth').is_dir():
            intrinsics, pose = _read_camera(self._file('camdata_left', instant, 'cam'))
            depth = read_floats(self._file('depth', instant, 'dpt'), size, 1)[..., 0]
            depth = np.where(depth > _SKY, np.inf, depth).astype(np.float32)
        if instant + 1 < len(self.frames):
            flow = read_floats(self._file('flow', instant, 'flo'), size, 2)
            flow[read_mask(self._file('invalid', instant, 'png'), size)] = np.nan
            hidden = read_mask(self._file('occlusions', instant, 'png'), size)
            occluded = np.where(hidden, OCCLUDED, VISIBLE).astype(np.uint8)
        return RawFrame(
            image,
            instant / _RATE,
            intrinsics,
            pose,
            depth,
            flow_forward=flow,
            occluded_forward=occluded,
        )

    def _file(self, kind: str, instant: int, ending: str) -> Path:
        name = f'frame_{self.frames[instant]:04d}.{ending}'
        return self.training / kind / self.sequence / name


def read_floats(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """float32 [h, w, channels] of a .flo or .dpt file: tag, width, height, values."""
    content = read_bytes(path)
    count = size[0] * size[1] * channels
    if len(content) != 12 + 4 * count or np.frombuffer(content, '<f4', 1)[0] != _TAG:
        raise DataSetError(
            f'{path} has {len(content)} bytes; {size[1]} x {size[0]} values of {channels} '
            f'channels after a header need {12 + 4 * count}; extract it again'
        )
    width, height = np.frombuffer(content, '<i4', 2, offset=4).tolist()
    values = np.frombuffer(content, '<f4', count, offset=12).reshape(height, width, channels)
    return require_size(path, values, size).astype(np.float32)


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Bool [h, w]: where a grey PNG is not black."""
    return require_size(path, read_png(path, np.uint8), size) > 0


def _read_camera(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [3, 3] and world_from_camera [4, 4] of a .cam file."""
    content = read_bytes(path)
    if len(content) != 4 + 21 * 8 or np.frombuffer(content, '<f4', 1)[0] != _TAG:
        raise DataSetError(f'{path} has {len(content)} bytes; a camera has 172; extract it again')
    values = np.frombuffer(content, '<f8', 21, offset=4)
    camera_from_world = np.vstack([values[9:].reshape(3, 4), [0, 0, 0, 1]])
    return values[:9].reshape(3, 3), invert(camera_from_world)

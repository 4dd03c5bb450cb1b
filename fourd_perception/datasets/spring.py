"""Spring (Mehl et al., CVPR 2023): a rendered film in stereo with dense disparity and flow.

`train/` of the archives frame_left, disp1_left, flow_FW_left, flow_BW_left, cam_data, maps, and
the same of the right camera. Licence: CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    folders,
    frame_numbers,
    read_png,
    read_rgb,
    read_rows,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.poses import invert, transform
import numpy as np

_RATE = 24.0
_BASELINE = 0.065
_SIDES = ('left', 'right')
# Truth has this many pixels per pixel of the image along each axis.
_FINER = 2


def open_spring(root: Path) -> DataSet:
    """Spring under `root`, which holds `train/`; needs h5py. Metres by the stereo baseline.

    The right camera is a second view where its images are there.
    """
    _h5py()
    recordings = []
    for sequence in folders(root / 'train', 'the sequences of Spring'):
        frames = frame_numbers(sequence / 'frame_left', 'frame_left_%04d.png')
        views = 1 + (sequence / 'frame_right').is_dir()
        intrinsics = read_rows(sequence / 'cam_data/intrinsics.txt', 4, len(frames))
        extrinsics = read_rows(sequence / 'cam_data/extrinsics.txt', 16, len(frames))
        reader = _Reader(sequence, frames, intrinsics, extrinsics.reshape(-1, 4, 4))
        recordings.append(Recording(sequence.name, views, len(frames), reader.read))
    return DataSet('spring', metric=True, recordings=tuple(recordings))


@dataclass(frozen=True, eq=False)
class _Reader:
    sequence: Path
    frames: range
    intrinsics: np.ndarray
    camera_from_world: np.ndarray

    def read(self, view: int, instant: int) -> RawFrame:
        side = _SIDES[view]
        image = read_rgb(self._file('frame', side, instant, 'png'))
        fx, fy, cx, cy = self.intrinsics[instant]
        pose = invert(self.camera_from_world[instant])
        aside = transform(np.eye(3), np.array([view * _BASELINE, 0.0, 0.0]))
        forward = backward = None
        if instant + 1 < len(self.frames):
            forward = self._flow('FW', side, instant, image)
        if instant > 0:
            backward = self._flow('BW', side, instant, image)
        return RawFrame(
            image,
            instant / _RATE,
            np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
            pose @ aside,
            self._depth(side, instant, fx, image),
            forward,
            backward,
        )

    def _file(self, kind: str, side: str, instant: int, ending: str) -> Path:
        folder = f'{kind}_{side}'
        return self.sequence / folder / f'{folder}_{self.frames[instant]:04d}.{ending}'

    def _depth(self, side: str, instant: int, fx: float, image: np.ndarray) -> np.ndarray:
        """Depth [2 h, 2 w] from disparity in pixels of the image; inf on the sky."""
        path = self._file('disp1', side, instant, 'dsp5')
        disparity = _finer(path, _read_hdf5(path, 'disparity'), image)
        sky = disparity <= 0
        if (self.sequence / 'maps').is_dir():
            path = self.sequence / 'maps' / f'skymap_{side}'
            path /= f'skymap_{side}_{self.frames[instant]:04d}.png'
            sky |= _finer(path, read_png(path, np.uint8), image) > 0
        return np.where(sky, np.inf, fx * _BASELINE / np.where(sky, 1.0, disparity))

    def _flow(self, way: str, side: str, instant: int, image: np.ndarray) -> np.ndarray:
        """Flow [2 h, 2 w, 2]; the file counts pixels of the image, NaN where unknown."""
        path = self._file(f'flow_{way}', side, instant, 'flo5')
        return _finer(path, _read_hdf5(path, 'flow'), image) * _FINER


def _finer(path: Path, values: np.ndarray, image: np.ndarray) -> np.ndarray:
    return require_size(path, values, (_FINER * image.shape[0], _FINER * image.shape[1]))


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataSetError('Spring is stored as HDF5; run `pip install h5py`') from error
    return h5py


def _read_hdf5(path: Path, key: str) -> np.ndarray:
    """One data set of an HDF5 file as float32."""
    try:
        with _h5py().File(path, 'r') as file:
            return np.asarray(file[key], np.float32)
    except (OSError, KeyError) as error:
        raise DataSetError(f'cannot read {key!r} in {path}: {error}') from error

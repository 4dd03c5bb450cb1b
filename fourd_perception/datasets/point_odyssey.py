"""PointOdyssey (Zheng et al., ICCV 2023): rendered people and things with long 3-D tracks.

`<split>/<sequence>/{rgbs,depths,anno.npz}` of the release. Licence: CC BY-NC-SA 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
import os
from pathlib import Path
import struct
import zipfile

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    folders,
    frame_numbers,
    read_png,
    read_rgb,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame, Tracks
from fourd_perception.geometry.poses import invert, nearest_rotation, transform
import numpy as np

_RATE = 30.0
# Metres that the largest number stands for: the sky, too.
_FARTHEST = 1000.0
# Pixels; cameras and tracks are half floats in the first release.
_MAX_TRACK_ERROR = 8.0


def open_point_odyssey(root: Path, split: str = 'train') -> DataSet:
    """PointOdyssey under `root`, which holds `train/`, `val/`, `test/`; metres. No flow.

    Sequences without 3-D tracks, whose cameras are not known either, are left out.
    """
    recordings = []
    for folder in folders(root / split, 'the sequences of PointOdyssey'):
        frames = frame_numbers(folder / 'rgbs', 'rgb_%05d.jpg')
        if _has_tracks(folder / 'anno.npz'):
            recordings.append(Recording(folder.name, 1, len(frames), _Reader(folder, frames).read))
    return DataSet('point_odyssey', metric=True, recordings=tuple(recordings))


@dataclass(frozen=True)
class _Reader:
    folder: Path
    frames: range

    def read(self, view: int, instant: int) -> RawFrame:
        number = self.frames[instant]
        image = read_rgb(self.folder / f'rgbs/rgb_{number:05d}.jpg')
        path = self.folder / f'depths/depth_{number:05d}.png'
        stored = require_size(path, read_png(path, np.uint16), image.shape[:2])
        depth = stored.astype(np.float32) * np.float32(_FARTHEST / 65535)
        depth = np.select([stored == 0, stored == 65535], [np.nan, np.inf], depth)
        truth = _read_annotations(self.folder / 'anno.npz', len(self.frames))
        return RawFrame(
            image,
            instant / _RATE,
            truth.intrinsics[instant].astype(float),
            truth.world_from_camera(instant),
            depth.astype(np.float32),
            tracks=truth.tracks(instant),
        )


@dataclass(frozen=True, eq=False)
class _Annotations:
    """The arrays of anno.npz, left in the file where they can be.

    intrinsics [T, 3, 3]; camera_from_world [T, 4, 4]; points [T, N, 3] in the world and where
    they are in the images, pixels [T, N, 2]; visible and known [T, N], 1 where they are
    """

    intrinsics: np.ndarray
    camera_from_world: np.ndarray
    points: np.ndarray
    pixels: np.ndarray
    visible: np.ndarray
    known: np.ndarray

    def world_from_camera(self, instant: int) -> np.ndarray:
        pose = self.camera_from_world[instant].astype(float)
        # Rotations of half floats are none to the last digit.
        return invert(transform(nearest_rotation(pose[:3, :3]), pose[:3, 3]))

    def tracks(self, instant: int) -> Tracks:
        known = self.known[instant] == 1
        points = np.where(known[:, None], self.points[instant].astype(float), np.nan)
        # 2 is out of the range of depth.
        return Tracks(points, (self.visible[instant] == 1) & known)


def _has_tracks(path: Path) -> bool:
    return 'trajs_3d' in _names(path) and _array(path, 'trajs_3d').ndim == 3


# Of a release whose arrays are compressed this is some hundred megabytes, and windows ask for its
# frames one by one.
@lru_cache(maxsize=1)
def _read_annotations(path: Path, frames: int) -> _Annotations:
    names = _names(path)
    visible = _array(path, 'visibs' if 'visibs' in names else 'visibilities')
    truth = _Annotations(
        _array(path, 'intrinsics'),
        _array(path, 'extrinsics'),
        _array(path, 'trajs_3d'),
        _array(path, 'trajs_2d'),
        visible,
        _array(path, 'valids') if 'valids' in names else np.ones_like(visible),
    )
    lengths = {len(getattr(truth, field.name)) for field in fields(truth)}
    if lengths != {frames}:
        raise DataSetError(f'{path} is of {sorted(lengths)} frames, but there are {frames} images')
    _require_opencv(path, truth)
    return truth


def _require_opencv(path: Path, truth: _Annotations) -> None:
    """Check that the cameras take the tracks of the first frame to their pixels."""
    tracks, pose = truth.tracks(0), truth.camera_from_world[0].astype(float)
    points = tracks.points[tracks.visible] @ pose[:3, :3].T + pose[:3, 3]
    image = points @ truth.intrinsics[0].astype(float).T
    apart = image[:, :2] / image[:, 2:] - truth.pixels[0, tracks.visible]
    error = np.linalg.norm(apart, axis=1)
    if len(error) and not np.median(error) <= _MAX_TRACK_ERROR:
        raise DataSetError(
            f'the cameras of {path} miss its own tracks by {np.median(error):.1f} pixels, more '
            f'than {_MAX_TRACK_ERROR}; take the release whose extrinsics are OpenCV, world to '
            'camera'
        )


def _names(path: Path) -> list[str]:
    """Names of the arrays of an .npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix('.npy') for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataSetError(f'cannot read {path}: {error}; extract it again') from error


def _array(path: Path, name: str) -> np.ndarray:
    """An array of an .npz file, mapped where it is stored uncompressed."""
    try:
        with path.open('rb') as file, zipfile.ZipFile(file) as archive:
            info = archive.getinfo(f'{name}.npy')
            if info.compress_type != zipfile.ZIP_STORED:
                return np.lib.format.read_array(archive.open(info))
            # A local header of 30 bytes, then name and extra field, whose lengths it ends with.
            file.seek(info.header_offset + 26)
            file.seek(sum(struct.unpack('<HH', file.read(4))), os.SEEK_CUR)
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            return np.memmap(file, dtype, 'r', file.tell(), shape)
    except (KeyError, EOFError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataSetError(f'{path} holds no whole {name}: {error}; extract it again') from error

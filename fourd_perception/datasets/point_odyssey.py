"""PointOdyssey (Zheng et al., ICCV 2023): rendered people and things with long 3-D tracks.

`<split>/<sequence>/{rgbs,depths,anno.npz}` of the release. Licence: CC BY-NC-SA 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
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
from fourd_perception.geometry.poses import invert
import numpy as np

_RATE = 30.0
# Metres that the largest number stands for: the sky, too.
_FARTHEST = 1000.0
_MAX_TRACK_ERROR = 2.0


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
            truth.intrinsics[instant],
            invert(truth.camera_from_world[instant]),
            depth.astype(np.float32),
            tracks=Tracks(truth.points[instant], truth.visible[instant]),
        )


@dataclass(frozen=True, eq=False)
class _Annotations:
    """Cameras [T, 3, 3] and [T, 4, 4], tracks [T, N, 3] in the world, NaN unknown, [T, N]."""

    intrinsics: np.ndarray
    camera_from_world: np.ndarray
    points: np.ndarray
    visible: np.ndarray


def _has_tracks(path: Path) -> bool:
    """By the header of the array alone: the arrays of all sequences are tens of gigabytes."""
    with _open(path) as file:
        if 'trajs_3d' not in file.files:
            return False
        with file.zip.open('trajs_3d.npy') as array:
            np.lib.format.read_magic(array)
            shape, _, _ = np.lib.format.read_array_header_1_0(array)
    return len(shape) == 3


# Some hundred megabytes a recording, and windows ask for its frames one by one.
@lru_cache(maxsize=1)
def _read_annotations(path: Path, frames: int) -> _Annotations:
    with _open(path) as file:
        try:
            points, pixels = file['trajs_3d'].astype(np.float32), file['trajs_2d']
            visible = file['visibs' if 'visibs' in file.files else 'visibilities'] > 0
            known = file['valids'] > 0 if 'valids' in file.files else np.ones_like(visible)
            intrinsics = file['intrinsics'].astype(float)
            camera_from_world = file['extrinsics'].astype(float)
        except (KeyError, EOFError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise DataSetError(f'{path} is not whole: {error}; extract it again') from error
    lengths = {len(a) for a in (points, pixels, visible, intrinsics, camera_from_world)}
    if lengths != {frames}:
        raise DataSetError(f'{path} is of {sorted(lengths)} frames, but there are {frames} images')
    points[~known] = np.nan
    truth = _Annotations(intrinsics, camera_from_world, points, visible & known)
    _require_opencv(path, truth, pixels)
    return truth


def _require_opencv(path: Path, truth: _Annotations, pixels: np.ndarray) -> None:
    """Check that the cameras take the tracks of the first frame to their pixels."""
    seen, pose = truth.visible[0], truth.camera_from_world[0]
    points = truth.points[0, seen] @ pose[:3, :3].T + pose[:3, 3]
    image = points @ truth.intrinsics[0].T
    error = np.linalg.norm(image[:, :2] / image[:, 2:] - pixels[0, seen], axis=1)
    if len(error) and not np.median(error) <= _MAX_TRACK_ERROR:
        raise DataSetError(
            f'the cameras of {path} miss its own tracks by {np.median(error):.1f} pixels, more '
            f'than {_MAX_TRACK_ERROR}; take the release whose extrinsics are OpenCV, world to '
            'camera'
        )


def _open(path: Path) -> np.lib.npyio.NpzFile:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DataSetError(f'cannot read {path}: {error}; extract it again') from error

"""Waymo Open Dataset, processed: five cameras of a car with the lidar projected into them.

https://waymo.com/open, Waymo Dataset License Agreement for Non-Commercial Use. The layout is
that of DUSt3R's preparation (Wang et al., CVPR 2024). Sun et al. (CVPR 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    read_bytes,
    read_rgb,
    require_folder,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.datasets.undistortion import Lens
import numpy as np

_RATE = 10.0


def open_waymo(root: Path) -> DataSet:
    """The segments below a folder: `<segment>/<frame>_<camera>.jpg`, `.exr` and `.npz`.

    Every camera of a segment is a view, its frames of equal number are one instant. Metres;
    depth along z is known at the pixels that the lidar met, 0 elsewhere; poses are the
    cameras' in OpenCV's axes; the .npz holds `intrinsics`, `cam2world` and `distortion` (k1, k2,
    p1, p2, k3), by which image and depth are undistorted here. Labels are unknown. There are no
    stamps; 10 images a second are assumed. Needs OpenEXR.
    """
    _openexr()
    folders = sorted({path.parent for path in require_folder(root, 'segments').glob('*/*_*.jpg')})
    if not folders:
        raise DataSetError(f'{root} holds no <segment>/<frame>_<camera>.jpg; prepare Waymo there')
    return DataSet(
        'waymo', metric=True, recordings=tuple(_recording(folder) for folder in folders)
    )


def _recording(folder: Path) -> Recording:
    stems = [path.stem.rsplit('_', 1) for path in folder.glob('*_*.jpg')]
    cameras = tuple(sorted({camera for _, camera in stems}))
    frames = tuple(sorted({frame for frame, _ in stems}))
    read = _Segment(folder, cameras, frames).read
    return Recording(folder.name, len(cameras), len(frames), read)


@dataclass(frozen=True)
class _Segment:
    """A folder of images named by frame and camera; every camera has every frame."""

    folder: Path
    cameras: tuple[str, ...]
    frames: tuple[str, ...]

    def read(self, view: int, instant: int) -> RawFrame:
        """One camera's frame."""
        frame = self.frames[instant]
        stem = self.folder / f'{frame}_{self.cameras[view]}'
        image = read_rgb(stem.with_suffix('.jpg'))
        lens, pose = _read_camera(stem.with_suffix('.npz'))
        depth = read_exr(stem.with_suffix('.exr'))
        depth = require_size(stem.with_suffix('.exr'), depth, image.shape[:2])
        depth = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))
        return RawFrame(
            image=lens.image(image),
            seconds=int(frame) / _RATE,
            intrinsics=lens.intrinsics,
            world_from_camera=pose if np.isfinite(pose).all() else None,
            depth=lens.scattered_depth(depth),
            sparse=True,
        )


def _read_camera(path: Path) -> tuple[Lens, np.ndarray]:
    """Lens and world_from_camera [4, 4] of a .npz file."""
    read_bytes(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            intrinsics = stored['intrinsics'].astype(float).reshape(3, 3)
            pose = stored['cam2world'].astype(float).reshape(4, 4)
            distortion = tuple(stored['distortion'].astype(float).ravel().tolist())
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataSetError(
            f'{path} does not hold intrinsics [3, 3], cam2world [4, 4] and distortion: {error}'
        ) from error
    focal = float(intrinsics[0, 0]), float(intrinsics[1, 1])
    centre = float(intrinsics[0, 2]), float(intrinsics[1, 2])
    return Lens(focal, centre, distortion), pose


def _openexr() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise DataSetError('depth of Waymo is OpenEXR; run `pip install OpenEXR`') from error
    return OpenEXR


def read_exr(path: Path) -> np.ndarray:
    """float32 [h, w] of an OpenEXR file with one channel."""
    read_bytes(path)
    try:
        with _openexr().File(str(path), separate_channels=True) as file:
            channels = {name: c.pixels for name, c in file.channels().items()}
    except (RuntimeError, ValueError, OSError) as error:
        raise DataSetError(f'{path} is no whole OpenEXR file: {error}') from error
    if len(channels) != 1:
        raise DataSetError(f'{path} holds the channels {tuple(channels)}; one of depth is needed')
    return np.asarray(next(iter(channels.values())), np.float32)

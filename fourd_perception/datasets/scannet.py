"""ScanNet: 1,500 scans of rooms by a tablet with a depth sensor.

http://www.scan-net.org, ScanNet Terms of Use (non-commercial; access on request). Dai et al.,
ScanNet: Richly-annotated 3D reconstructions of indoor scenes (CVPR 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
from pathlib import Path

import cv2
from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    read_rgb,
    read_table,
    require_folders,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.datasets.sens_file import SensFile
from fourd_perception.datasets.sensor_depth import read_sensor_depth
from fourd_perception.geometry.clips import STATIC
import numpy as np

_PER_METRE = 1000.0
_RATE = 30.0


def open_scannet(root: Path) -> DataSet:
    """The scans `scene*` below a folder, each as downloaded (.sens) or exported.

    The download is one `<scene>/<scene>.sens`; ScanNet's exporter makes of it color/*.jpg,
    depth/*.png, pose/*.txt and intrinsic/*.txt, and is preferred where both are there. An
    export may hold every n-th frame alone.

    Metres, depth of 1 mm with 0 where unknown; poses are the camera's in OpenCV's axes, -inf
    where tracking was lost: unknown. Depth has intrinsics of its own and is moved onto the
    colour image by them. Everything is static. Exports have no stamps; 30 images a second are
    assumed there.
    """
    folders = require_folders(root, 'scene*', 'download scans of ScanNet there')
    return DataSet(
        'scannet', metric=True, recordings=tuple(_recording(folder) for folder in folders)
    )


def _recording(folder: Path) -> Recording:
    if (folder / 'color').is_dir():
        numbers = tuple(sorted(int(p.stem) for p in (folder / 'color').glob('*.jpg')))
        if not numbers:
            raise DataSetError(f'{folder / "color"} holds no *.jpg; export the scan again')
        return Recording(folder.name, 1, len(numbers), _Export(folder, numbers).read)
    path = folder / f'{folder.name}.sens'
    if not path.is_file():
        raise DataSetError(f'{folder} holds neither color/ nor {path.name}; download the scan')
    scan = SensFile(path)
    return Recording(folder.name, 1, scan.frames, _Container(scan).read)


@dataclass(frozen=True)
class _Export:
    """A scan as ScanNet's exporter writes it; numbers are those of its frames."""

    folder: Path
    numbers: tuple[int, ...]

    def read(self, view: int, instant: int) -> RawFrame:
        """The frame of a colour image; there is one view."""
        number = self.numbers[instant]
        image = read_rgb(self.folder / f'color/{number}.jpg')
        depth = read_sensor_depth(self.folder / f'depth/{number}.png', _PER_METRE)
        colour, own = self._intrinsics
        return RawFrame(
            image=image,
            seconds=number / _RATE,
            intrinsics=colour,
            world_from_camera=_known(_matrix(self.folder / f'pose/{number}.txt')),
            depth=_on_colour(depth, own, colour, image.shape[:2]),
            dynamic=_static(image),
        )

    @functools.cached_property
    def _intrinsics(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the colour and of the depth images."""
        names = 'color', 'depth'
        extrinsics = [self.folder / f'intrinsic/extrinsic_{name}.txt' for name in names]
        if all(path.exists() for path in extrinsics):
            colour, depth = (_matrix(path) for path in extrinsics)
            _require_registered(np.linalg.inv(colour) @ depth, self.folder)
        colour, depth = (_matrix(self.folder / f'intrinsic/intrinsic_{n}.txt') for n in names)
        return colour[:3, :3], depth[:3, :3]


@dataclass(frozen=True)
class _Container:
    """A scan as downloaded."""

    scan: SensFile

    def read(self, view: int, instant: int) -> RawFrame:
        """A frame of the container; there is one view."""
        scan = self.scan
        _require_registered(scan.colour_from_depth, scan.path)
        frame = scan.frame(instant)
        colour, own = scan.colour_intrinsics, scan.depth_intrinsics
        clock = frame.microseconds * 1e-6 if frame.microseconds else instant / _RATE
        return RawFrame(
            image=frame.image,
            seconds=clock,
            intrinsics=colour,
            world_from_camera=_known(frame.world_from_camera),
            depth=_on_colour(frame.depth, own, colour, frame.image.shape[:2]),
            dynamic=_static(frame.image),
        )


def _on_colour(
    depth: np.ndarray, own: np.ndarray, colour: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Depth image as the colour camera would have it: the value of the nearest pixel."""
    depth_from_colour = (own @ np.linalg.inv(colour))[:2]
    return cv2.warpAffine(
        depth,
        depth_from_colour,
        size[::-1],
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float('nan'),
    )


def _static(image: np.ndarray) -> np.ndarray:
    return np.full(image.shape[:2], STATIC, np.uint8)


def _known(pose: np.ndarray) -> np.ndarray | None:
    return pose if np.isfinite(pose).all() else None


def _require_registered(colour_from_depth: np.ndarray, path: Path) -> None:
    """All published scans have one pose for both sensors; their maps agree by intrinsics alone."""
    offset = float(np.abs(colour_from_depth - np.eye(4)).max())
    if offset > 1e-3:
        raise DataSetError(
            f'{path} puts the depth sensor {offset:g} away from the colour camera; such scans '
            'are not supported, as ScanNet has none'
        )


def _matrix(path: Path) -> np.ndarray:
    rows = read_table(path, columns=4)
    if len(rows) != 4:
        raise DataSetError(f'{path} holds {len(rows)} rows, not the 4 of a matrix')
    return rows

"""KITTI (Geiger et al., CVPR 2012; Menze and Geiger, CVPR 2015): driving, with lidar truth.

Two sets: the annotated depth of "depth prediction" over the raw recordings, and the pairs of
"scene flow 2015". Licence: CC BY-NC-SA 3.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    folders,
    frame_numbers,
    frame_runs,
    read_bytes,
    read_png,
    read_rgb,
    require_folder,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.clips import OCCLUDED, UNKNOWN, VISIBLE
import numpy as np

_RATE = 10.0
_CAMERA = '02'


def open_kitti_depth(root: Path, raw: str = 'raw', split: str = 'train') -> DataSet:
    """Depth of the left colour camera: `root` holds `train/`, `val/` and, under `raw`, the images.

    raw: folder of the raw recordings, from `root` or absolute: `<date>/<drive>/image_02/data`
    beside `<date>/calib_cam_to_cam.txt`. Poses and flow are unknown. Recordings are the runs of
    frames that have truth: the first and last few of a drive have none.
    """
    recordings = []
    for drive in folders(root / split, 'the drives of KITTI'):
        truth = drive / 'proj_depth' / 'groundtruth' / f'image_{_CAMERA}'
        images = root / raw / drive.name[:10] / drive.name / f'image_{_CAMERA}' / 'data'
        require_folder(images, f'the raw images of {drive.name}')
        for frames in frame_runs(truth, '%010d.png'):
            reader = _DepthReader(images, truth, frames)
            name = f'{drive.name} from {frames[0]}'
            recordings.append(Recording(name, 1, len(frames), reader.read))
    return DataSet('kitti_depth', metric=True, recordings=tuple(recordings))


def open_kitti_flow(root: Path) -> DataSet:
    """Scene flow 2015: `root` holds `training/` with image_2, flow_occ, flow_noc, disp_occ_0.

    Recordings of two frames. Depth, metres, of the first frame is known where the calibration
    archive is there.
    """
    training = root / 'training'
    pairs = frame_numbers(training / 'flow_occ', '%06d_10.png')
    recordings = tuple(Recording(f'{n:06d}', 1, 2, _FlowReader(training, n).read) for n in pairs)
    return DataSet('kitti_flow', metric=True, recordings=recordings)


@dataclass(frozen=True)
class _DepthReader:
    images: Path
    truth: Path
    frames: range

    def read(self, view: int, instant: int) -> RawFrame:
        name = f'{self.frames[instant]:010d}.png'
        image = read_rgb(self.images / name)
        stored = require_size(
            self.truth / name, read_png(self.truth / name, np.uint16), image.shape[:2]
        )
        depth = np.where(stored > 0, stored / 256.0, np.nan).astype(np.float32)
        calibration = self.images.parents[2] / 'calib_cam_to_cam.txt'
        projection = _read_projection(calibration, _CAMERA)
        return RawFrame(image, instant / _RATE, projection[:, :3], depth=depth, sparse=True)


@dataclass(frozen=True)
class _FlowReader:
    training: Path
    number: int

    def read(self, view: int, instant: int) -> RawFrame:
        name = f'{self.number:06d}_{10 + instant}.png'
        image = read_rgb(self.training / 'image_2' / name)
        size = (image.shape[0], image.shape[1])
        intrinsics = depth = flow = occluded = None
        calibration = self.training / 'calib_cam_to_cam' / f'{self.number:06d}.txt'
        if calibration.parent.is_dir():
            left, right = (_read_projection(calibration, camera) for camera in ('02', '03'))
            intrinsics = left[:, :3]
            if instant == 0:
                depth = self._depth(name, size, left[0, 3] - right[0, 3])
        if instant == 0:
            flow = read_kitti_flow(self.training / 'flow_occ' / name, size)
            seen = read_kitti_flow(self.training / 'flow_noc' / name, size)
            known = [~np.isnan(seen[..., 0]), ~np.isnan(flow[..., 0])]
            occluded = np.select(known, [VISIBLE, OCCLUDED], UNKNOWN).astype(np.uint8)
        return RawFrame(
            image,
            instant / _RATE,
            intrinsics,
            depth=depth,
            flow_forward=flow,
            occluded_forward=occluded,
            sparse=True,
        )

    def _depth(self, name: str, size: tuple[int, int], focal_baseline: float) -> np.ndarray:
        """Depth [h, w] from disparity, uint16 / 256 pixels; 0 is unknown."""
        path = self.training / 'disp_occ_0' / name
        disparity = require_size(path, read_png(path, np.uint16), size) / 256.0
        known = np.where(disparity > 0, disparity, np.nan)
        return (focal_baseline / known).astype(np.float32)


def read_kitti_flow(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Flow float32 [h, w, 2] of a PNG: (n - 2^15) / 64 in R and G, B is validity; NaN unknown."""
    values = require_size(path, read_png(path, np.uint16, channels=3), size)
    flow = (values[..., :2].astype(np.float32) - 2**15) / 64.0
    return np.where(values[..., 2:] > 0, flow, np.float32(np.nan))


def _read_projection(path: Path, camera: str) -> np.ndarray:
    """P_rect [3, 4] of a camera from a calibration file; pixels and metres."""
    for line in read_bytes(path).decode('utf-8', errors='replace').splitlines():
        name, _, values = line.partition(':')
        if name == f'P_rect_{camera}' and len(values.split()) == 12:
            return np.array(values.split(), float).reshape(3, 4)
    raise DataSetError(f'{path} holds no P_rect_{camera} of 12 numbers; download it again')

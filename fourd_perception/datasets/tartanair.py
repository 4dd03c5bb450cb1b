"""TartanAir (Wang et al., IROS 2020): a stereo pair flying through rendered places.

The archives of one environment (image_left, depth_left, flow_flow, flow_mask, image_right...)
extracted side by side: `<environment>/{Easy,Hard}/P###/`. Licence: CC BY 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    folders,
    frame_numbers,
    read_npy,
    read_rgb,
    read_rows,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.clips import OCCLUDED, UNKNOWN, VISIBLE
from fourd_perception.geometry.poses import rotation_from_quaternion, transform
import numpy as np

# The set tells no times.
_RATE = 10.0
_INTRINSICS = np.array([[320.0, 0.0, 320.0], [0.0, 320.0, 240.0], [0.0, 0.0, 1.0]])
# The sky is a sphere at a large distance, other in every environment.
_SKY = 1000.0
_SIDES = ('left', 'right')
# x forward, y right, z down, of x right, y down, z forward.
_NED_FROM_OPTICAL = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
# Values of a flow mask: 0 is seen in both images.
_OUT_OF_VIEW = 100


def open_tartanair(root: Path) -> DataSet:
    """TartanAir under `root`, which holds `abandonedfactory/`...; metres.

    The right camera is a second view where its images are there; flow, of the left camera and
    forward only, is known where its archives are extracted. It is computed from depth and poses:
    wrong on what moves, which the mask hides at best, together with what is occluded. So masked
    flow is unknown here, and whether anything but the sky moves: of such flow own motion is none.
    """
    recordings = []
    for environment in folders(root, 'the environments of TartanAir'):
        for level in folders(environment, 'Easy and Hard'):
            for trajectory in folders(level, 'P000, P001, ...'):
                frames = frame_numbers(trajectory / 'image_left', '%06d_left.png')
                views = 1 + (trajectory / 'image_right').is_dir()
                name = '/'.join(trajectory.parts[-3:])
                poses = [
                    read_rows(trajectory / f'pose_{side}.txt', 7, len(frames))
                    for side in _SIDES[:views]
                ]
                reader = _Reader(trajectory, frames, np.stack(poses))
                recordings.append(Recording(name, views, len(frames), reader.read))
    return DataSet('tartanair', metric=True, recordings=tuple(recordings))


@dataclass(frozen=True, eq=False)
class _Reader:
    trajectory: Path
    frames: range
    poses: np.ndarray

    def read(self, view: int, instant: int) -> RawFrame:
        side, name = _SIDES[view], f'{self.frames[instant]:06d}_{_SIDES[view]}'
        image = read_rgb(self.trajectory / f'image_{side}' / f'{name}.png')
        size = image.shape[:2]
        path = self.trajectory / f'depth_{side}' / f'{name}_depth.npy'
        depth = require_size(path, read_npy(path), size).astype(np.float32)
        flow = occluded = None
        has_flow = side == 'left' and (self.trajectory / 'flow').is_dir()
        if has_flow and instant + 1 < len(self.frames):
            flow, occluded = self._flow(instant, size)
        return RawFrame(
            image,
            instant / _RATE,
            _INTRINSICS,
            _pose(self.poses[view, instant]),
            np.where(depth > _SKY, np.inf, depth),
            flow_forward=flow,
            occluded_forward=occluded,
            ego_flow=True,
        )

    def _flow(self, instant: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Flow [h, w, 2] and what is hidden, uint8 [h, w]."""
        pair = f'{self.frames[instant]:06d}_{self.frames[instant + 1]:06d}'
        path, mask_path = (
            self.trajectory / 'flow' / f'{pair}_{kind}.npy' for kind in ('flow', 'mask')
        )
        flow = require_size(path, read_npy(path), size).astype(np.float32)
        mask = require_size(mask_path, read_npy(mask_path), size)
        occluded = np.select([mask == 0, mask == _OUT_OF_VIEW], [VISIBLE, OCCLUDED], UNKNOWN)
        flow[occluded == UNKNOWN] = np.nan
        return flow, occluded.astype(np.uint8)


def _pose(row: np.ndarray) -> np.ndarray:
    """World (north, east, down) from the optical frame [4, 4], of "tx ty tz qx qy qz qw"."""
    return transform(rotation_from_quaternion(row[3:]), row[:3]) @ _NED_FROM_OPTICAL

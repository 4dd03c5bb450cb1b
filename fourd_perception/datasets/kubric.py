"""MOVi-A to MOVi-F of Kubric (Greff et al., CVPR 2022): things that fall, rendered.

As TFDS or gsutil leave it on disk: `<variant>/<size>/<version>/<variant>-<split>.tfrecord-*`.
Licence: Apache-2.0 (the scanned objects CC BY 4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import DataSetError, folders
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.datasets.tf_records import (
    blobs,
    floats,
    integers,
    read_example,
    record_offsets,
)
from fourd_perception.geometry.poses import rotation_from_quaternion, transform
import numpy as np

_RATE = 12.0
# Blender's cameras look along -z with y up.
_BLENDER_FROM_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])
# Beyond the dome that scenes C to F stand in; nothing was hit there.
_SKY = 1e4


def open_kubric(
    root: Path, variant: str = 'movi_e', size: str = '256x256', split: str = 'train'
) -> DataSet:
    """One variant under `root`, which holds `movi_e/256x256/1.0.0/`...; TensorFlow is not needed.

    Lengths are the simulation's, which are no metres. Instances are numbered from 1.
    """
    version = folders(root / variant / size, 'a version like 1.0.0')[-1]
    files = sorted(version.glob(f'{variant}-{split}.tfrecord*'))
    if not files:
        raise DataSetError(f'{version} holds no {variant}-{split}.tfrecord*; download the split')
    recordings = []
    for path in files:
        for number, offset in enumerate(record_offsets(path)):
            reader = _Reader(path, offset)
            name = f'{path.name} {number}'
            recordings.append(Recording(name, 1, reader.instants(), reader.read))
    return DataSet('kubric', metric=False, recordings=tuple(recordings))


@dataclass(frozen=True)
class _Reader:
    path: Path
    offset: int

    def instants(self) -> int:
        return int(integers(self._feature('metadata/num_frames'))[0])

    def read(self, view: int, instant: int) -> RawFrame:
        image = self._image('video', instant)[..., ::-1]
        height, width = image.shape[:2]
        focal, sensor = (self._floats(f'camera/{k}')[0] for k in ('focal_length', 'sensor_width'))
        f, cx, cy = focal / sensor * width, (width - 1) / 2, (height - 1) / 2
        intrinsics = np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])
        position = self._floats('camera/positions').reshape(-1, 3)[instant]
        w, x, y, z = self._floats('camera/quaternions').reshape(-1, 4)[instant]
        turned = rotation_from_quaternion(np.array([x, y, z, w]))
        shape = (self.instants(), height, width, 2)
        forward = backward = None
        if instant + 1 < shape[0]:
            forward = self._flow('forward_flow', shape, instant)
        if instant > 0:
            # The motion from the previous frame to this one.
            backward = -self._flow('backward_flow', shape, instant)
        return RawFrame(
            np.ascontiguousarray(image),
            instant / _RATE,
            intrinsics,
            transform(turned, position) @ _BLENDER_FROM_OPTICAL,
            self._depth(instant, intrinsics),
            forward,
            backward,
            instances=self._image('segmentations', instant).astype(np.int16),
        )

    def _feature(self, name: str) -> np.ndarray:
        example = read_example(self.path, self.offset)
        if name not in example:
            raise DataSetError(f'{self.path} holds an example without {name!r}; is it MOVi?')
        return example[name]

    def _floats(self, name: str) -> np.ndarray:
        return floats(self._feature(name)).astype(float)

    def _image(self, name: str, instant: int) -> np.ndarray:
        values = cv2.imdecode(blobs(self._feature(name))[instant], cv2.IMREAD_UNCHANGED)
        if values is None:
            raise DataSetError(f'{self.path} holds {name!r} that is no image')
        return values

    def _depth(self, instant: int, intrinsics: np.ndarray) -> np.ndarray:
        """Depth [h, w] along z; the file has distances from the camera."""
        low, high = self._floats('metadata/depth_range')
        distance = self._image('depth', instant) / 65535.0 * (high - low) + low
        height, width = distance.shape
        y, x = np.mgrid[:height, :width]
        x = (x - intrinsics[0, 2]) / intrinsics[0, 0]
        y = (y - intrinsics[1, 2]) / intrinsics[1, 1]
        depth = distance / np.sqrt(x**2 + y**2 + 1.0)
        return np.where(distance > _SKY, np.inf, depth).astype(np.float32)

    def _flow(self, name: str, shape: tuple[int, ...], instant: int) -> np.ndarray:
        """Flow [h, w, 2] (u, v); the file has (rows, columns), 65535 steps over a range."""
        low, high = self._floats(f'metadata/{name}_range')
        stored = _stored_flow(self.path, self.offset, name)
        if stored.size != np.prod(shape):
            raise DataSetError(f'{self.path} holds {stored.size} numbers of {name}, not {shape}')
        rows_columns = stored.reshape(shape)[instant] / 65535.0 * (high - low) + low
        return rows_columns[..., ::-1].astype(np.float32)


# Numbers of all frames are of unequal lengths in one field: windows decode it once.
@lru_cache(maxsize=2)
def _stored_flow(path: Path, offset: int, name: str) -> np.ndarray:
    return integers(read_example(path, offset)[name]).astype(np.uint16)

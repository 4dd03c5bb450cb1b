"""7-Scenes: seven rooms recorded by a Kinect, tracked by KinectFusion.

https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes, for non-commercial use
(Microsoft Research licence). Shotton et al., Scene coordinate regression forests (CVPR 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    read_bytes,
    read_rgb,
    read_table,
    require_folder,
    require_folders,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.datasets.sensor_depth import read_sensor_depth
from fourd_perception.datasets.undistortion import splat
from fourd_perception.geometry.clips import STATIC
from fourd_perception.geometry.poses import invert, transform
from fourd_perception.geometry.projection import project, transform_points, unproject
import numpy as np

_PER_METRE = 1000.0
_RATE = 30.0
_SIZE = 480, 640
_COLOUR = np.array([[525.0, 0.0, 320.0], [0.0, 525.0, 240.0], [0.0, 0.0, 1.0]])
_DEPTH = np.array([[585.0, 0.0, 320.0], [0.0, 585.0, 240.0], [0.0, 0.0, 1.0]])
# The set has no calibration between the two sensors. This one is of another Kinect
# (https://projet.liris.cnrs.fr/voir/activities-dataset/kinect-calibration.html); Brachmann et
# al., On the limits of pseudo ground truth (ICCV 2021), register 7-Scenes with it.
_COLOUR_FROM_DEPTH = transform(
    np.array(
        [
            [0.99996518012567637, 0.00267651264689503, -0.00790410123130009],
            [-0.00274093112813167, 0.99996302803027592, -0.00815045207780133],
            [0.00788199421304453, 0.00817183287718906, 0.99993554558014031],
        ]
    ),
    np.array([-0.025558943178152542, 0.000101096362680617, 0.00203183217294870]),
)
_SPLITS = {'train': 'TrainSplit.txt', 'test': 'TestSplit.txt'}


def open_seven_scenes(root: Path, split: str = 'all') -> DataSet:
    """The sequences `<scene>/seq-*` below a folder; of one split or `all`.

    Metres, depth of 1 mm with 0 and 65535 where unknown. Depth in the view of the colour camera
    is read where somebody has made it (frame-*.depth.proj.png), else the raw one is registered
    here. pose.txt tells the pose of the depth sensor; poses here are the colour camera's, 26 mm
    away, in OpenCV's axes. A pose that is not finite is unknown. Everything is static. There
    are no stamps; 30 images a second are assumed.
    """
    if split not in ('all', *_SPLITS):
        raise ValueError(f'7-Scenes has no split {split!r}; take one of {("all", *_SPLITS)}')
    all_folders = require_folders(root, '*/seq-*', 'unpack the scenes of 7-Scenes there')
    scenes = sorted({folder.parent for folder in all_folders})
    folders = [folder for scene in scenes for folder in _sequences(scene, split)]
    return DataSet(
        'seven_scenes', metric=True, recordings=tuple(_recording(folder) for folder in folders)
    )


def _sequences(scene: Path, split: str) -> list[Path]:
    """Folders of a scene's sequences; the split file names them "sequence1", ..."""
    if split == 'all':
        return sorted(p for p in scene.glob('seq-*') if p.is_dir())
    names = read_bytes(scene / _SPLITS[split]).decode().split()
    numbers = [int(number) for name in names for number in re.findall(r'\d+', name)]
    return [require_folder(scene / f'seq-{n:02d}', 'its frames') for n in sorted(numbers)]


def _recording(folder: Path) -> Recording:
    stems = tuple(sorted(p.name.split('.')[0] for p in folder.glob('frame-*.color.png')))
    if not stems:
        raise DataSetError(f'{folder} holds no frame-*.color.png; unpack the sequence again')
    name = f'{folder.parent.name}/{folder.name}'
    return Recording(name, 1, len(stems), _Sequence(folder, stems).read)


@dataclass(frozen=True)
class _Sequence:
    folder: Path
    stems: tuple[str, ...]

    def read(self, view: int, instant: int) -> RawFrame:
        """The frame of a colour image; there is one view."""
        stem = self.stems[instant]
        path = self.folder / f'{stem}.color.png'
        pose = _matrix(self.folder / f'{stem}.pose.txt')
        known = np.isfinite(pose).all()
        return RawFrame(
            image=require_size(path, read_rgb(path), _SIZE),
            seconds=int(stem.removeprefix('frame-')) / _RATE,
            intrinsics=_COLOUR,
            world_from_camera=pose @ invert(_COLOUR_FROM_DEPTH) if known else None,
            depth=self._depth(stem),
            dynamic=np.full(_SIZE, STATIC, np.uint8),
        )

    def _depth(self, stem: str) -> np.ndarray:
        """Depth in the view of the colour camera."""
        made = self.folder / f'{stem}.depth.proj.png'
        if made.exists():
            return require_size(made, read_sensor_depth(made, _PER_METRE), _SIZE)
        path = self.folder / f'{stem}.depth.png'
        return _registered(require_size(path, read_sensor_depth(path, _PER_METRE), _SIZE))


def _registered(depth: np.ndarray) -> np.ndarray:
    """Depth of the depth sensor as the colour camera sees it: its points, moved and projected."""
    points = unproject(depth, _DEPTH)[~np.isnan(depth)]
    points = transform_points(_COLOUR_FROM_DEPTH, points)
    pixels = project(points, _COLOUR)
    ahead = ~np.isnan(pixels[:, 0])
    return splat(np.round(pixels[ahead]), points[ahead, 2], depth.shape)


def _matrix(path: Path) -> np.ndarray:
    rows = read_table(path, columns=4)
    if len(rows) != 4:
        raise DataSetError(f'{path} holds {len(rows)} rows, not the 4 of a pose')
    return rows

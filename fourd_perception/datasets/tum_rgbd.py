"""TUM RGB-D: indoor recordings of a Kinect with a motion-capture trajectory.

https://cvg.cit.tum.de/data/datasets/rgbd-dataset, CC BY 4.0. Sturm et al., A benchmark for the
evaluation of RGB-D SLAM systems (IROS 2012).
"""

from __future__ import annotations

from pathlib import Path
import re

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import require_folders
from fourd_perception.datasets.rgbd_sequence import open_rgbd_sequence
from fourd_perception.datasets.undistortion import Lens

# The calibrations of the data set's page. freiburg3 comes undistorted; the depth images are
# registered to the colour ones, and the factors of depth there are applied already.
_LENSES = {
    'freiburg1': Lens((517.3, 516.5), (318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    'freiburg2': Lens((520.9, 521.0), (325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    'freiburg3': Lens((535.4, 539.2), (320.1, 247.6)),
}
# Categories "Dynamic objects", "Calibration files" and the recordings by a robot among people.
_SOMETHING_MOVES = re.compile('sitting|walking|with_person|calibration|pioneer')


def open_tum_rgbd(root: Path) -> DataSet:
    """The recordings `rgbd_dataset_freiburg*` below a folder.

    Metres, depth of 1/5000 m with 0 where unknown, poses of the colour camera in OpenCV's axes.
    freiburg1 and freiburg2 are undistorted here, colour linearly and depth to the nearest pixel.
    In recordings of still rooms everything is static; of the others, labels are unknown.
    """
    folders = require_folders(
        root, 'rgbd_dataset_freiburg[123]_*', 'unpack recordings of TUM RGB-D there'
    )
    return DataSet('tum_rgbd', metric=True, recordings=tuple(_recording(f) for f in folders))


def _recording(folder: Path) -> Recording:
    lens = _LENSES[folder.name.split('_')[2]]
    return open_rgbd_sequence(folder, lens, still=not _SOMETHING_MOVES.search(folder.name))

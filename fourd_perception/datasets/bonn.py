"""Bonn RGB-D Dynamic: people and boxes that move, with a motion-capture trajectory.

https://www.ipb.uni-bonn.de/data/rgbd-dynamic-dataset, made for research; no licence is known to
us, so ask before other use. Palazzolo et al., ReFusion (IROS 2019).
"""

from __future__ import annotations

from pathlib import Path

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import require_folders
from fourd_perception.datasets.rgbd_sequence import open_rgbd_sequence
from fourd_perception.datasets.undistortion import Lens
from fourd_perception.geometry.poses import nearest_rotation, transform
import numpy as np

# The calibration of the data set's page.
_LENS = Lens(
    (542.822841, 542.576870),
    (315.593520, 237.756098),
    (0.039903, -0.099343, -0.000730, -0.000144, 0.0),
)
# groundtruth.txt tells the pose of the markers on the sensor. The data set's page gives
# world_from_camera = T_ros @ pose @ T_ros @ T_m.
_ROS = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
_MARKERS_TO_CAMERA = np.array(
    [
        [1.0157, 0.1828, -0.2389, 0.0113],
        [0.0009, -0.8431, -0.6413, -0.0098],
        [-0.3009, 0.6147, -0.8085, 0.0111],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
_STILL = ('rgbd_bonn_static', 'rgbd_bonn_static_close_far')


def open_bonn(root: Path) -> DataSet:
    """The recordings `rgbd_bonn_*` below a folder.

    Metres, depth of 1/5000 m with 0 where unknown. The images are undistorted here, colour
    linearly and depth to the nearest pixel. Poses are those of the colour camera. The published
    T_m is a rotation times 1.0593; poses take the rotation alone, depth stays as its files say.
    Labels are unknown but in the two still recordings, where everything is static.
    """
    folders = require_folders(root, 'rgbd_bonn_*', 'unpack recordings of Bonn there')
    return DataSet('bonn', metric=True, recordings=tuple(_recording(f) for f in folders))


def _recording(folder: Path) -> Recording:
    return open_rgbd_sequence(folder, _LENS, folder.name in _STILL, _of_camera)


def _of_camera(pose: np.ndarray) -> np.ndarray:
    return _ROS @ pose @ _ROS @ _markers_from_camera()


def _markers_from_camera() -> np.ndarray:
    rotation = nearest_rotation(_MARKERS_TO_CAMERA[:3, :3])
    return transform(rotation, _MARKERS_TO_CAMERA[:3, 3])

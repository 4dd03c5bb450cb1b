"""What of a prediction goes into the search for scale and world."""

from fourd_perception.engine.window_prediction import window_prediction
from fourd_perception.geometry.cameras import CameraModel, Rig
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import pytest
import torch

K = np.array([[100.0, 0, 8], [0, 100.0, 8], [0, 0, 1]])


def rig(height, fixed=False):
    """Camera a on a mast of some height; b known to have an image, not a place."""
    place = np.eye(4)
    place[2, 3] = height
    cameras = {'a': CameraModel('a', 16, 16, K, base_from_camera=place)}
    return Rig(cameras | {'b': CameraModel('b', 16, 16, K)}, fixed)


def tensors_and_prediction():
    present = np.array([[True, True], [False, True]])
    tensors = GridTensors(
        images=torch.zeros(2, 2, 3, 16, 16),
        present=present,
        valid=torch.ones(2, 16, 16, dtype=torch.bool),
        intrinsics=np.stack([K, K]),
        pixel_maps=(PixelMap(), PixelMap()),
        cameras=('a', 'b'),
        stamps=np.array([[10, 20], [-1, 21]]),
        reference=(0, 0),
    )
    poses = np.tile(np.eye(4), (2, 2, 1, 1))
    poses[~present] = np.nan
    prediction = Prediction(
        depth=torch.full((2, 2, 16, 16), 2.0),
        depth_confidence=torch.ones(2, 2, 16, 16),
        world_from_camera=poses,
        intrinsics=np.tile(K * [[2], [2], [1]], (2, 2, 1, 1)),
    )
    return tensors, prediction


def test_cells_are_present_ones_with_a_pose():
    tensors, prediction = tensors_and_prediction()
    window = window_prediction(tensors, prediction, [rig(1), rig(1)], 'a')
    assert window.keys == (('a', 10), ('a', 20), ('b', 21))
    assert window.posed.tolist() == [0, 1]
    prediction.world_from_camera[0, 0] = np.nan
    assert window_prediction(tensors, prediction, [rig(1)] * 2, 'a').keys == (('a', 20), ('b', 21))


def test_depth_is_brought_to_the_known_focal_length():
    window = window_prediction(*tensors_and_prediction(), [rig(1)] * 2, 'a')
    np.testing.assert_allclose(window.focal_factor, [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(window.depth, 1.0)


@pytest.mark.parametrize('fixed, heights', [(False, [1, 2]), (True, [2, 2])])
def test_a_mast_that_moves_is_known_at_each_time_a_room_as_it_is_known_now(fixed, heights):
    window = window_prediction(*tensors_and_prediction(), [rig(1, fixed), rig(2, fixed)], 'a')
    assert window.base_from_camera[window.posed, 2, 3].tolist() == heights

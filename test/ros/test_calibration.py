"""A camera's calibration, from the first image without one to one that contradicts it."""

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.ros.calibration import Calibration, MissingCalibration
from fourd_perception.wire.camera_info import CalibrationError, camera_info_message
from fourd_perception.wire.images import image_message
from node_bench import TYPES
import numpy as np
import pytest

K = np.array([[100.0, 0, 40], [0, 100.0, 30], [0, 0, 1]])
CAMERA = CameraModel('front', 80, 60, K, 'from_info')
IMAGE = image_message(TYPES, 1, 'from_image', np.zeros((60, 80), np.uint8), 'mono8')


@pytest.fixture
def calibration():
    return Calibration('front', 'front/camera_info')


def test_camera_info_describes_the_images_that_follow(calibration):
    calibration.store(camera_info_message(TYPES, 1, CAMERA))
    camera = calibration.fit(IMAGE, now=0.0)
    assert np.array_equal(camera.intrinsics, K)
    assert camera.frame_id == 'from_image'
    assert calibration.fault == ''


def test_a_new_camera_info_takes_over_at_once(calibration):
    calibration.store(camera_info_message(TYPES, 1, CAMERA))
    calibration.fit(IMAGE, now=0.0)
    zoomed = CameraModel('front', 80, 60, np.diag([2.0, 2.0, 1.0]) @ K, 'from_info')
    calibration.store(camera_info_message(TYPES, 2, zoomed))
    assert calibration.fit(IMAGE, now=0.1).intrinsics[0, 0] == 200.0


def test_without_camera_info_images_wait_five_seconds_then_go_uncalibrated(calibration):
    for now in (10.0, 14.9):
        with pytest.raises(MissingCalibration, match='front/camera_info'):
            calibration.fit(IMAGE, now)
    camera = calibration.fit(IMAGE, now=15.0)
    assert not camera.calibrated
    assert (camera.width, camera.height) == (80, 60)


def test_a_blank_camera_info_means_uncalibrated_at_once(calibration):
    calibration.store(camera_info_message(TYPES, 1, CameraModel('front', 0, 0, None)))
    camera = calibration.fit(IMAGE, now=0.0)
    assert not camera.calibrated
    assert (camera.width, camera.height) == (80, 60)


def test_a_size_that_contradicts_the_image_is_refused_with_both(calibration):
    calibration.store(camera_info_message(TYPES, 1, CAMERA.resized(640, 480)))
    with pytest.raises(CalibrationError):
        calibration.fit(IMAGE, now=0.0)
    assert '640x480' in calibration.fault
    assert '80x60' in calibration.fault


def test_numbers_that_no_camera_has_are_refused_until_better_ones_come(calibration):
    broken = camera_info_message(TYPES, 1, CAMERA)
    broken.p[0] = float('nan')
    calibration.store(broken)
    for now in (0.0, 60.0):
        with pytest.raises(MissingCalibration, match='nan'):
            calibration.fit(IMAGE, now)
    calibration.store(camera_info_message(TYPES, 2, CAMERA))
    assert calibration.fit(IMAGE, now=61.0).calibrated

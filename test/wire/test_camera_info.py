"""CameraInfo: which intrinsics an image has, and what is refused."""

from dataclasses import replace

from fourd_perception.bag.types import BagTypes
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.wire.camera_info import (
    CalibrationError,
    camera_from_info,
    camera_info_message,
    check_image_size,
)
from hypothesis import given, strategies as st
import numpy as np
import pytest

TYPES = BagTypes()
K = np.array([[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]])
CAMERA = CameraModel('front', 640, 480, K, 'front_optical_frame')


def info(**fields):
    """CameraInfo of CAMERA with some fields changed."""
    return replace(camera_info_message(TYPES, 5, CAMERA), **fields)


def roi(x: int, y: int, width: int, height: int):
    return TYPES.message('sensor_msgs/msg/RegionOfInterest')(
        x_offset=x, y_offset=y, height=height, width=width, do_rectify=False
    )


def test_what_is_published_describes_a_rectified_pinhole_camera():
    message = info()
    assert (message.width, message.height) == (640, 480)
    assert message.header.frame_id == 'front_optical_frame'
    assert message.k.tolist() == K.ravel().tolist()
    assert message.p.reshape(3, 4)[:, :3].tolist() == K.tolist()
    assert message.p.reshape(3, 4)[:, 3].tolist() == [0, 0, 0]
    assert message.d.tolist() == [0.0] * 5 and message.distortion_model == 'plumb_bob'
    assert message.r.tolist() == np.eye(3).ravel().tolist()


def test_a_rectified_image_takes_p_and_ignores_k_and_d():
    p = np.array([[400, 0, 320, -40], [0, 400, 240, 0], [0, 0, 1, 0]], float)
    camera = camera_from_info(info(p=p.ravel(), d=np.full(5, 0.3)), 'front')
    assert camera.intrinsics.tolist() == p[:, :3].tolist()
    assert (camera.distortion, camera.frame_id) == ((), 'front_optical_frame')


def test_k_stands_in_where_p_is_zero_and_zero_k_means_uncalibrated():
    assert camera_from_info(info(p=np.zeros(12)), 'front').intrinsics.tolist() == K.tolist()
    camera = camera_from_info(info(k=np.zeros(9)), 'front')
    assert not camera.calibrated and (camera.width, camera.height) == (640, 480)


def test_an_uncalibrated_camera_survives_the_round_trip():
    camera = replace(CAMERA, intrinsics=None)
    assert not camera_from_info(camera_info_message(TYPES, 5, camera), 'front').calibrated


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 100),
    st.integers(0, 100),
    st.floats(0.5, 20),
)
def test_binning_and_window_show_the_same_point_where_the_sensor_pixels_average(
    bins_x, bins_y, left, top, depth
):
    message = info(binning_x=bins_x, binning_y=bins_y, roi=roi(left, top, 480, 360))
    camera = camera_from_info(message, 'front')
    assert (camera.width, camera.height) == (480 // bins_x, 360 // bins_y)
    point = np.array([0.3, -0.2, 1.0]) * depth
    full, small = K @ point / depth, camera.intrinsics @ point / depth
    # The centre of the first binned pixel lies amid the sensor pixels that it averages.
    assert small[0] * bins_x + (bins_x - 1) / 2 + left == pytest.approx(full[0])
    assert small[1] * bins_y + (bins_y - 1) / 2 + top == pytest.approx(full[1])


@given(st.integers(8, 2000), st.integers(8, 2000))
def test_the_info_of_a_resized_camera_sees_the_corners_of_the_image_in_the_same_direction(w, h):
    small = camera_from_info(camera_info_message(TYPES, 5, CAMERA.resized(w, h)), 'front')
    for x, y in ((0.0, 0.0), (1.0, 1.0)):
        rays = [
            np.linalg.solve(c.intrinsics, [x * c.width - 0.5, y * c.height - 0.5, 1.0])
            for c in (CAMERA, small)
        ]
        np.testing.assert_allclose(rays[0], rays[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ('fields', 'words'),
    [
        ({'p': np.where(np.arange(12) == 2, np.nan, 1.0)}, ['front', 'P', 'nan']),
        ({'p': np.diag([-400.0, 400, 1, 0])[:3].ravel()}, ['-400', 'positive']),
        ({'p': np.zeros(12), 'k': np.diag([500.0, 0, 1]).ravel()}, ['K', '500 and 0 px']),
        ({'p': np.full(12, 5.0)}, ['last row', '[0, 0, 1]']),
        ({'width': 0}, ['0x480', 'width and height']),
        ({'roi': roi(600, 0, 100, 100)}, ['100x100', '(600, 0)', '640x480']),
    ],
)
def test_a_calibration_that_no_camera_has_is_refused_with_its_values(fields, words):
    with pytest.raises(CalibrationError) as caught:
        camera_from_info(info(**fields), 'front')
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_image_of_another_size_is_refused_with_both_sizes():
    check_image_size(CAMERA, 640, 480)
    with pytest.raises(CalibrationError, match=r'320x240.*640x480'):
        check_image_size(CAMERA, 320, 240)
    unknown = replace(CAMERA, intrinsics=None, width=0, height=0)
    check_image_size(unknown, 320, 240)

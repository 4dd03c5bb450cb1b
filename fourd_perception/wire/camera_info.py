"""sensor_msgs/CameraInfo <-> CameraModel, for rectified images."""

from __future__ import annotations

from typing import Any

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.wire.message_types import MessageTypes
from fourd_perception.wire.stamps import header_of
import numpy as np


class CalibrationError(ValueError):
    """A CameraInfo that contradicts itself or its image."""


def camera_from_info(message: Any, name: str) -> CameraModel:
    """The camera of a rectified image, as its CameraInfo describes it.

    Intrinsics are P[:, :3], or K where P is zero; D is ignored, because `image_rect` travels with
    the raw CameraInfo. Binning and region of interest are applied: width, height and intrinsics
    are those of the image that is sent. K[0] = 0 means uncalibrated: intrinsics None.
    Raises CalibrationError for sizes, focal lengths or matrices that no camera has.
    """
    window, width, height = _window(message, name)
    if float(message.k[0]) == 0.0:
        return CameraModel(name, width, height, None, message.header.frame_id)
    if width <= 0 or height <= 0:
        raise CalibrationError(
            f'{name}: CameraInfo with intrinsics says {message.width}x{message.height} pixels; '
            'fill in width and height of the full image'
        )
    projection = np.array(message.p, float).reshape(3, 4)
    matrix, field = projection[:, :3], 'P'
    if not np.any(projection):
        matrix, field = np.array(message.k, float).reshape(3, 3), 'K'
    _check_matrix(matrix, field, name)
    intrinsics = window.intrinsics(matrix)
    return CameraModel(name, width, height, intrinsics, message.header.frame_id)


def check_image_size(camera: CameraModel, width: int, height: int) -> None:
    """Raise CalibrationError when an image's size is not the one that its CameraInfo says.

    An uncalibrated CameraInfo that says no size (0x0) fits every image.
    """
    if not camera.calibrated and camera.width == 0 and camera.height == 0:
        return
    if (camera.width, camera.height) != (width, height):
        raise CalibrationError(
            f'{camera.name}: the image has {width}x{height} pixels, its CameraInfo (after binning '
            f'and region of interest) {camera.width}x{camera.height}; publish the CameraInfo of '
            'this image'
        )


def camera_info_message(types: MessageTypes, stamp: int, camera: CameraModel) -> Any:
    """CameraInfo of a rectified image: K = P[:, :3], D = 0, R = I; zeros when uncalibrated."""
    intrinsics = np.zeros((3, 3)) if camera.intrinsics is None else camera.intrinsics
    return types.message('sensor_msgs/msg/CameraInfo')(
        header=header_of(types, stamp, camera.frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model='plumb_bob',
        d=types.doubles(np.zeros(5)),
        k=types.doubles(intrinsics),
        r=types.doubles(np.eye(3)),
        p=types.doubles(np.hstack([intrinsics, np.zeros((3, 1))])),
        binning_x=0,
        binning_y=0,
        roi=types.message('sensor_msgs/msg/RegionOfInterest')(
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def _window(message: Any, name: str) -> tuple[PixelMap, int, int]:
    """Map from pixels of the full sensor to the image, and the image's width and height."""
    roi, full = message.roi, (int(message.width), int(message.height))
    bins = max(int(message.binning_x), 1), max(int(message.binning_y), 1)
    size = (
        int(roi.width) or full[0] - int(roi.x_offset),
        (int(roi.height) or full[1] - int(roi.y_offset)),
    )
    offset = int(roi.x_offset), int(roi.y_offset)
    if any(o + s > f for o, s, f in zip(offset, size, full)):
        raise CalibrationError(
            f'{name}: a region of interest of {size[0]}x{size[1]} at {offset} does not fit '
            f'an image of {full[0]}x{full[1]} pixels'
        )
    crop = PixelMap(1.0, 1.0, -offset[0], -offset[1])
    return (
        crop.then(PixelMap(1.0 / bins[0], 1.0 / bins[1])),
        size[0] // bins[0],
        size[1] // bins[1],
    )


def _check_matrix(matrix: np.ndarray, field: str, name: str) -> None:
    if not np.isfinite(matrix).all():
        raise CalibrationError(
            f'{name}: {field} of CameraInfo holds {matrix.tolist()}; all values must be finite'
        )
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise CalibrationError(
            f'{name}: {field} of CameraInfo has focal lengths {matrix[0, 0]:g} and '
            f'{matrix[1, 1]:g} px; both must be positive'
        )
    if not np.array_equal(matrix[2], [0.0, 0.0, 1.0]):
        raise CalibrationError(
            f'{name}: the last row of {field} of CameraInfo is {matrix[2].tolist()}; '
            'it must be [0, 0, 1]'
        )

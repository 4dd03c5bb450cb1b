"""What is known of a camera's calibration, message by message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.wire.camera_info import (
    CalibrationError,
    camera_from_info,
    check_image_size,
)

PATIENCE = 5.0  # seconds without CameraInfo after which a camera runs uncalibrated


class MissingCalibration(LookupError):
    """No usable CameraInfo for an image, yet; the text says what is missing."""


class Calibration:
    """The newest CameraInfo of one camera, read when an image needs it.

    camera: the model that fits the newest image accepted; None before the first
    fault:  why images are refused now, in plain words; empty while they are not
    """

    def __init__(self, name: str, topic: str) -> None:
        self.name = name
        self.camera: CameraModel | None = None
        self.fault = ''
        self._topic = topic
        self._first_image: float | None = None
        self._info: Any = None
        self._read: tuple[Any, CameraModel] | None = None

    def store(self, info: Any) -> None:
        """Take a CameraInfo as it comes; it is read with the next image."""
        self._info = info

    def fit(self, image: Any, now: float) -> CameraModel:
        """The camera of an image message. now: steady time, seconds.

        Raises MissingCalibration while CameraInfo may still come or cannot be used, and
        CalibrationError when it contradicts the image.
        """
        try:
            self.camera = self._fit(image, now)
        except (MissingCalibration, CalibrationError) as error:
            self.fault = str(error)
            raise
        self.fault = ''
        return self.camera

    def _fit(self, image: Any, now: float) -> CameraModel:
        if self._first_image is None:
            self._first_image = now
        width, height = int(image.width), int(image.height)
        if self._info is not None:
            camera = self._newest()
            check_image_size(camera, width, height)
        elif now - self._first_image < PATIENCE:
            raise MissingCalibration(
                f'{self.name}: no CameraInfo on {self._topic} yet; without any for '
                f'{PATIENCE:g} s the camera runs uncalibrated'
            )
        else:
            camera = CameraModel(self.name, width, height, None)
        # The image names the frame that its outputs live in; CameraInfo may leave it out.
        frame_id = (image.header.frame_id or camera.frame_id).lstrip('/')
        return replace(camera, width=width, height=height, frame_id=frame_id)

    def _newest(self) -> CameraModel:
        """The model of the newest CameraInfo, read again only when its content changes."""
        info = self._info
        if self._read is None or not _same(self._read[0], info):
            try:
                self._read = (info, camera_from_info(info, self.name))
            except CalibrationError as error:
                self._read = None
                raise MissingCalibration(str(error)) from error
        return self._read[1]


def _same(one: Any, other: Any) -> bool:
    """Whether two CameraInfo differ in nothing but the stamp."""
    names = ('width', 'height', 'k', 'p', 'binning_x', 'binning_y', 'roi')
    return one is other or (
        one.header.frame_id == other.header.frame_id
        and all(_value(one, name) == _value(other, name) for name in names)
    )


def _value(info: Any, name: str) -> Any:
    value = getattr(info, name)
    return value.tobytes() if hasattr(value, 'tobytes') else value

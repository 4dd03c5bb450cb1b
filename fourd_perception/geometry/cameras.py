"""Pinhole cameras and rigs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fourd_perception.geometry.pixel_map import PixelMap
import numpy as np


@dataclass(frozen=True, eq=False)
class CameraModel:
    """Calibration of one camera, for images that are already rectified.

    name:             as in the parameter `cameras`
    width, height:    size of the image in pixels
    intrinsics:       float64 [3, 3], pixel (0, 0) centred at (0, 0); None when uncalibrated
    frame_id:         TF name of the optical frame (x right, y down, z forward)
    base_from_camera: float64 [4, 4], metres; pose of the camera in the rig's base frame (or in
                      the fixed frame, see `Rig.fixed`); None when unknown
    distortion:       coefficients, for images not yet rectified; empty otherwise
    distortion_model: `plumb_bob`, `rational_polynomial`, `equidistant`, or empty
    """

    name: str
    width: int
    height: int
    intrinsics: np.ndarray | None
    frame_id: str = ''
    base_from_camera: np.ndarray | None = None
    distortion: tuple[float, ...] = ()
    distortion_model: str = ''

    @property
    def calibrated(self) -> bool:
        """Whether intrinsics are known."""
        return self.intrinsics is not None

    def mapped(self, pixel_map: PixelMap, width: int, height: int) -> CameraModel:
        """The camera of an image resized, cropped or padded by `pixel_map`."""
        intrinsics = None if self.intrinsics is None else pixel_map.intrinsics(self.intrinsics)
        return replace(self, width=width, height=height, intrinsics=intrinsics)

    def resized(self, width: int, height: int) -> CameraModel:
        """The camera of an image resized to width x height."""
        pixel_map = PixelMap.resize((self.width, self.height), (width, height))
        return self.mapped(pixel_map, width, height)


@dataclass(frozen=True, eq=False)
class Rig:
    """The cameras of a robot or of a room, as known at one instant.

    cameras: by name; a camera without CameraInfo is absent
    fixed:   True when the cameras stand still in a TF frame (`frames.fixed`): then
             `base_from_camera` is the pose in that frame, which is also the world
    """

    cameras: Mapping[str, CameraModel]
    fixed: bool = False

    @property
    def posed(self) -> tuple[str, ...]:
        """Names of the cameras whose pose in the base is known."""
        return tuple(n for n, c in self.cameras.items() if c.base_from_camera is not None)

"""What the engine hands out for every inferred slice: the metric scene, newest instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.grid.frame import Frame, TimeSlice
import numpy as np


class Output(str, Enum):
    """Everything that can be asked of a step; what is not asked for is not computed."""

    DEPTH = 'depth'
    CONFIDENCE = 'confidence'
    DYNAMIC_MASK = 'dynamic_mask'
    LABELS = 'labels'
    FLOW = 'flow'
    FLOW_COLOR = 'flow_color'
    CAMERA_POINTS = 'camera_points'
    POINTS = 'points'
    POINTS_STATIC = 'points_static'
    POINTS_DYNAMIC = 'points_dynamic'
    POSE = 'pose'
    ODOMETRY = 'odometry'
    PATH = 'path'
    TF = 'tf'


class Label(IntEnum):
    """Values of label images."""

    STATIC = 0
    DYNAMIC = 1
    UNKNOWN = 2


@dataclass(frozen=True)
class Scale:
    """Metres per unit of the network's gauge.

    value:  the factor applied to this window's depths and translations; with source `none` it
            only keeps lengths continuous, in the unit of the first window's gauge
    source: `rig`, `chain` (carried over from the windows before), or `none`
    spread: relative one-sigma spread of `value`; NaN when the source is `none`
    reason: why the rig gives no metric scale, in plain words; empty when it does
    """

    value: float
    source: str
    spread: float
    reason: str = ''

    @property
    def metric(self) -> bool:
        """Whether lengths are metres."""
        return self.source != 'none'


@dataclass(frozen=True)
class PoseSource:
    """Where the newest motion of the base (or of the reference camera) comes from.

    source: `head`, the poses that the network predicts; `solved`, from depth and flow; `fixed`,
            where cameras stand still in a frame that TF knows
    reason: why it is not solved although it should be, in plain words; empty otherwise
    """

    source: str
    reason: str = ''


@dataclass(frozen=True, eq=False)
class ForwardFlow:
    """Motion from the previous inferred slice to the newest, on the older image.

    flow:        float32 [h, w, 2], pixels of the output size, u right, v down, NaN unknown
    older_stamp: stamp of the camera's older image, nanoseconds
    newer_stamp: stamp of its newest image
    """

    flow: np.ndarray
    older_stamp: int
    newer_stamp: int


@dataclass(frozen=True, eq=False)
class CameraUpdate:
    """One camera at the newest instant. Arrays are numpy, None where not asked for or not known.

    frame:      the frame that this describes (its stamp is the stamp of every output)
    input:      calibration of the input image
    output:     calibration of the arrays below ([h, w], `output.size`)
    colour:     uint8 [h, w, 3] RGB
    depth:      float32 [h, w], metres along z (gauge units when the scale is none), NaN invalid
    confidence: float32 [h, w], 0..1, 0 invalid
    label:      uint8 [h, w], see `Label`; None when there is no mask source or no second instant
    input_label: uint8 [H_in, W_in], labels at the size of the input image
    world_from_camera: float64 [4, 4], metres
    flow_backward: float32 [h, w, 2], pixels, from this frame to the previous inferred one
    flow_forward:  see `ForwardFlow`
    """

    frame: Frame
    input: CameraModel
    output: CameraModel
    world_from_camera: np.ndarray | None
    colour: np.ndarray | None = None
    depth: np.ndarray | None = None
    confidence: np.ndarray | None = None
    label: np.ndarray | None = None
    input_label: np.ndarray | None = None
    flow_backward: np.ndarray | None = None
    flow_forward: ForwardFlow | None = None


@dataclass(frozen=True, eq=False)
class SceneUpdate:
    """The newest slice of the window in a continuous world frame.

    slice:      the slice, without frames that could not be read
    cameras:    by name, the present ones
    scale:      metric scale and where it comes from
    world_from_base: float64 [4, 4] at the reference stamp: pose of the base when the rig is known,
                else (and of cameras in a fixed frame) of the reference camera; None when poses
                are not known
    covariance: float64 [6, 6] of that pose (x, y, z, rotation about x, y, z; metres, radians)
    rig_known:  whether `world_from_base` is the base's
    window_fill: number of slices in the window
    pose_source: where the newest motion comes from
    world_reset: why the world began anew with this update; empty when it goes on
    warnings:   what is doubtful about the input, in plain words
    faults:     frames that could not be used, each with the reason
    timings:    seconds per stage, in order
    """

    slice: TimeSlice
    cameras: Mapping[str, CameraUpdate]
    scale: Scale
    world_from_base: np.ndarray | None
    covariance: np.ndarray | None
    rig_known: bool
    window_fill: int
    pose_source: PoseSource = PoseSource('head')
    world_reset: str = ''
    warnings: tuple[str, ...] = ()
    faults: tuple[tuple[Frame, str], ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def metric(self) -> bool:
        """Whether lengths are metres."""
        return self.scale.metric

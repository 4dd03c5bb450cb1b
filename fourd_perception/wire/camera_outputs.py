"""Messages of one camera's outputs, all but its points, parallel to their topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fourd_perception.engine.scene_update import CameraUpdate, Label, Output
from fourd_perception.viz.colour import flow_to_rgb
from fourd_perception.wire.camera_info import camera_info_message
from fourd_perception.wire.images import image_message
from fourd_perception.wire.message_types import MessageTypes
from fourd_perception.wire.settings import WireSettings
from fourd_perception.wire.stamps import header_of, time_of
from fourd_perception.wire.transforms import pose_message
import numpy as np

Packer = Callable[[CameraUpdate, WireSettings, MessageTypes], Iterator[Any]]

FARTHEST_MILLIMETRE = 65535


def depth_millimetres(depth: np.ndarray) -> np.ndarray:
    """uint16 [h, w] of depth in metres; 0 where invalid or beyond 65.535 m."""
    scaled = np.rint(depth * 1000.0)
    known = np.isfinite(scaled) & (scaled > 0) & (scaled <= FARTHEST_MILLIMETRE)
    return np.where(known, scaled, 0).astype(np.uint16)


def dynamic_mask(label: np.ndarray, dynamic_value: int) -> np.ndarray:
    """uint8 [H, W]: 0 where known static, `dynamic_value` where dynamic or unknown."""
    return np.where(label == Label.STATIC, 0, dynamic_value).astype(np.uint8)


def _depth(camera: CameraUpdate, settings: WireSettings, types: MessageTypes) -> Iterator[Any]:
    if camera.depth is None:
        return
    encoding, depth = settings.depth_encoding, camera.depth
    if encoding == '16UC1':
        depth = depth_millimetres(depth)
    yield _image(types, camera, depth, encoding)
    yield camera_info_message(types, camera.frame.stamp, camera.output)


def _confidence(camera: CameraUpdate, _: WireSettings, types: MessageTypes) -> Iterator[Any]:
    if camera.confidence is not None:
        yield _image(types, camera, camera.confidence, '32FC1')


def _mask(camera: CameraUpdate, settings: WireSettings, types: MessageTypes) -> Iterator[Any]:
    if camera.input_label is None:
        return
    yield _image(types, camera, dynamic_mask(camera.input_label, settings.dynamic_value), 'mono8')
    yield camera_info_message(types, camera.frame.stamp, camera.input)


def _labels(camera: CameraUpdate, _: WireSettings, types: MessageTypes) -> Iterator[Any]:
    if camera.label is not None:
        yield _image(types, camera, camera.label, 'mono8')


def _flow(camera: CameraUpdate, _: WireSettings, types: MessageTypes) -> Iterator[Any]:
    motion = camera.flow_forward
    if motion is None:
        return
    frame_id = camera.input.frame_id
    yield image_message(types, motion.older_stamp, frame_id, motion.flow, '32FC2')
    yield types.message('sensor_msgs/msg/TimeReference')(
        header=header_of(types, motion.older_stamp, frame_id),
        time_ref=time_of(types, motion.newer_stamp),
        source=camera.input.name,
    )


def _flow_color(camera: CameraUpdate, _: WireSettings, types: MessageTypes) -> Iterator[Any]:
    motion = camera.flow_forward
    if motion is not None:
        colours = flow_to_rgb(motion.flow)
        yield image_message(types, motion.older_stamp, camera.input.frame_id, colours, 'rgb8')


def _pose(camera: CameraUpdate, settings: WireSettings, types: MessageTypes) -> Iterator[Any]:
    if camera.world_from_camera is not None:
        yield pose_message(
            types, camera.frame.stamp, settings.world_frame, camera.world_from_camera
        )


def _image(types: MessageTypes, camera: CameraUpdate, array: np.ndarray, encoding: str) -> Any:
    return image_message(types, camera.frame.stamp, camera.input.frame_id, array, encoding)


PACK: dict[Output, Packer] = {
    Output.DEPTH: _depth,
    Output.CONFIDENCE: _confidence,
    Output.DYNAMIC_MASK: _mask,
    Output.LABELS: _labels,
    Output.FLOW: _flow,
    Output.FLOW_COLOR: _flow_color,
    Output.POSE: _pose,
}

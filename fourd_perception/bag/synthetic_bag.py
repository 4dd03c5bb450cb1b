"""A synthetic recording as a rosbag2 folder: what a robot records, with the truth beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from fourd_perception.bag.arrival import (
    IMAGE_LATENCY,
    INFO_LATENCY,
    NEXT_CAMERA,
    TF_LATENCY,
    TRUTH_LATENCY,
)
from fourd_perception.bag.qos import LATCHED, TopicQos
from fourd_perception.bag.types import BagTypes
from fourd_perception.bag.writer import whole_or_nothing
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.poses import invert, transform
from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.wire.camera_info import camera_info_message
from fourd_perception.wire.images import image_message
from fourd_perception.wire.transforms import (
    Edge,
    odometry_message,
    pose_message,
    StampedPose,
    tf_message,
)
import numpy as np

BASE, ODOM = 'base_link', 'odom'
TRUTH = 'ground_truth'
TRUTH_BASE = f'{TRUTH}/{BASE}'
# Errors of the wheel odometry: lengths, and heading per second.
ODOM_STRETCH, ODOM_TURN = 1.02, np.radians(0.5)
MASK_VALUES = {STATIC: 0, IGNORED: 128, DYNAMIC: 255}

_TYPES = BagTypes()
_IMAGE, _INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
_TF, _ODOMETRY, _POSE = (
    'tf2_msgs/msg/TFMessage',
    'nav_msgs/msg/Odometry',
    'geometry_msgs/msg/PoseStamped',
)


@dataclass(frozen=True, eq=False)
class _Event:
    """A message to come: rendered only when it is written."""

    log_time: int
    topic: str
    make: Callable[[], Any]


def write_synthetic(
    recording: SyntheticRecording,
    path: Path | str,
    wheel_odometry: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a recording and its truth to a new rosbag2 folder, with `scene.yaml` inside.

    Per camera `/<c>/image_rect` (rgb8) and `/<c>/camera_info`; `/tf_static` from base_link to
    every camera frame; the truth under `/ground_truth/`: per camera `depth` (32FC1), `flow`
    (32FC2 to the camera's next image, NaN where hidden there), `dynamic_mask` (255 moves by more
    than 1 px towards a neighbouring image, 128 by 0.3 to 1 px, 0 rests) and `pose`; `odometry`;
    on `/tf` a tree of its own, ground_truth -> ground_truth/base_link.
    wheel_odometry adds `/odom` and odom -> base_link on `/tf`, which drifts.
    progress: called with messages written and in all.
    Raises BagError when the folder is already there; after an error nothing is left.
    """
    events = sorted(_events(recording, wheel_odometry), key=lambda event: event.log_time)
    with whole_or_nothing(path) as writer:
        for topic, (type_name, qos) in _topics(recording, wheel_odometry).items():
            writer.topic(topic, type_name, qos)
        for number, event in enumerate(events, start=1):
            writer.write(event.topic, event.log_time, event.make())
            if progress is not None:
                progress(number, len(events))
        recording.save(path)


def _topics(
    recording: SyntheticRecording, wheel_odometry: bool
) -> dict[str, tuple[str, TopicQos]]:
    topics = {'/tf_static': (_TF, LATCHED), '/tf': (_TF, TopicQos(depth=100))}
    if wheel_odometry:
        topics['/odom'] = (_ODOMETRY, TopicQos())
    for camera in recording.cameras:
        topics[f'/{camera}/image_rect'] = (_IMAGE, TopicQos())
        topics[f'/{camera}/camera_info'] = (_INFO, TopicQos())
        for product in ('depth', 'flow', 'dynamic_mask'):
            topics[f'/{TRUTH}/{camera}/{product}'] = (_IMAGE, TopicQos())
        topics[f'/{TRUTH}/{camera}/pose'] = (_POSE, TopicQos())
    topics[f'/{TRUTH}/odometry'] = (_ODOMETRY, TopicQos())
    return topics


def _events(recording: SyntheticRecording, wheel_odometry: bool) -> Iterator[_Event]:
    yield _Event(recording.start, '/tf_static', partial(static_transforms, recording))
    yield from _motion_events(recording, wheel_odometry)
    for number, camera in enumerate(recording.cameras.values()):
        yield from _camera_events(recording, camera, number * NEXT_CAMERA)


def _camera_events(
    recording: SyntheticRecording, camera: CameraModel, delay: int
) -> Iterator[_Event]:
    robot, truth = f'/{camera.name}', f'/{TRUTH}/{camera.name}'
    stamps = recording.stamps(camera.name)
    for stamp in stamps:
        arrival, late = stamp + delay, stamp + TRUTH_LATENCY
        what = recording, camera, stamp
        info = partial(camera_info_message, _TYPES, stamp, camera)
        yield _Event(arrival + INFO_LATENCY, f'{robot}/camera_info', info)
        yield _Event(arrival + IMAGE_LATENCY, f'{robot}/image_rect', partial(image, *what))
        yield _Event(late, f'{truth}/depth', partial(true_depth, *what))
        yield _Event(late, f'{truth}/dynamic_mask', partial(true_mask, *what))
        yield _Event(late, f'{truth}/pose', partial(true_pose, *what))
    for older, newer in pairwise(stamps):
        flow = partial(true_flow, recording, camera, older, newer)
        yield _Event(older + TRUTH_LATENCY, f'{truth}/flow', flow)


def _motion_events(recording: SyntheticRecording, wheel_odometry: bool) -> Iterator[_Event]:
    """Transforms and odometry at the stamps of the first camera."""
    stamps = recording.stamps(next(iter(recording.cameras)))
    wheels = partial(odom_from_base, recording)
    for older, stamp in zip((None, *stamps), stamps, strict=False):
        edges = partial(transforms, recording, stamp, wheel_odometry)
        yield _Event(stamp + TF_LATENCY, '/tf', edges)
        truth = partial(_odometry, TRUTH, TRUTH_BASE, recording.world_from_base, older, stamp)
        yield _Event(stamp + TRUTH_LATENCY, f'/{TRUTH}/odometry', truth)
        if wheel_odometry:
            drifting = partial(_odometry, ODOM, BASE, wheels, older, stamp)
            yield _Event(stamp + TF_LATENCY, '/odom', drifting)


def static_transforms(recording: SyntheticRecording) -> Any:
    """TFMessage of base_link -> camera frames."""
    return tf_message(
        _TYPES,
        [
            Edge(BASE, camera.frame_id, camera.base_from_camera, recording.start)
            for camera in recording.cameras.values()
            if camera.base_from_camera is not None
        ],
    )


def odom_from_base(recording: SyntheticRecording, stamp: int) -> np.ndarray:
    """Pose of the base by wheels that measure 2 % too long and turn by 0.5 degrees a second."""
    moved = invert(recording.world_from_base(recording.start)) @ recording.world_from_base(stamp)
    angle = ODOM_TURN * (stamp - recording.start) * 1e-9
    c, s = np.cos(angle), np.sin(angle)
    turn = transform(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.zeros(3))
    return turn @ transform(moved[:3, :3], ODOM_STRETCH * moved[:3, 3])


def transforms(recording: SyntheticRecording, stamp: int, wheel_odometry: bool) -> Any:
    """TFMessage of the true pose of the base, and of what the wheels say."""
    edges = [Edge(TRUTH, TRUTH_BASE, recording.world_from_base(stamp), stamp)]
    if wheel_odometry:
        edges.append(Edge(ODOM, BASE, odom_from_base(recording, stamp), stamp))
    return tf_message(_TYPES, edges)


def image(recording: SyntheticRecording, camera: CameraModel, stamp: int) -> Any:
    """Image rgb8 as the camera sees it."""
    pixels = recording.image(camera.name, stamp)
    return image_message(_TYPES, stamp, camera.frame_id, pixels, 'rgb8')


def true_depth(recording: SyntheticRecording, camera: CameraModel, stamp: int) -> Any:
    """Image 32FC1 of the depth in metres, NaN on the sky."""
    depth = recording.depth(camera, stamp)
    return image_message(_TYPES, stamp, camera.frame_id, depth, '32FC1')


def true_pose(recording: SyntheticRecording, camera: CameraModel, stamp: int) -> Any:
    """PoseStamped of the camera in the world of the truth."""
    pose = recording.world_from_camera(camera.name, stamp)
    return pose_message(_TYPES, stamp, TRUTH, pose)


def true_flow(recording: SyntheticRecording, camera: CameraModel, older: int, newer: int) -> Any:
    """Image 32FC2 of the flow to the next image; NaN where the point is hidden there."""
    flow, occluded = recording.flow(camera, older, newer)
    flow = np.where(occluded[..., None], np.float32(np.nan), flow)
    return image_message(_TYPES, older, camera.frame_id, flow, '32FC2')


def true_mask(recording: SyntheticRecording, camera: CameraModel, stamp: int) -> Any:
    """Image mono8 of what moves towards the image before or after."""
    stamps = recording.stamps(camera.name)
    place = stamps.index(stamp)
    others = [stamps[i] for i in (place - 1, place + 1) if 0 <= i < len(stamps)]
    label = dynamic_label(recording.own_motion(camera, stamp, others))
    values = np.zeros(256, np.uint8)
    values[list(MASK_VALUES)] = list(MASK_VALUES.values())
    return image_message(_TYPES, stamp, camera.frame_id, values[label], 'mono8')


def _odometry(
    world: str, child: str, pose: Callable[[int], np.ndarray], older: int | None, stamp: int
) -> Any:
    previous = None if older is None else StampedPose(older, pose(older))
    return odometry_message(_TYPES, world, child, StampedPose(stamp, pose(stamp)), previous)

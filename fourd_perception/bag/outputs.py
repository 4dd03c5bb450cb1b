"""The recorded outputs of the node as arrays, keyed by the integer stamps of their headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import struct
from types import TracebackType
from typing import Any

from fourd_perception.bag.reader import BagError, BagReader
from fourd_perception.engine.clouds import Cloud
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.wire.camera_info import camera_from_info
from fourd_perception.wire.clouds import cloud_of
from fourd_perception.wire.images import image_array
from fourd_perception.wire.stamps import nanoseconds, SECOND, stamp_of
from fourd_perception.wire.transforms import Edge, edges_of, pose_matrix
import numpy as np

DEPTH_SUFFIX = '/depth/image_rect'
LABELS_SUFFIX = '/labels'


@dataclass(frozen=True, eq=False)
class RecordedFlow:
    """Flow float32 [h, w, 2] from the image at `older` to the one at `newer` (ns)."""

    flow: np.ndarray
    older: int
    newer: int


@dataclass(frozen=True, eq=False)
class RecordedCloud:
    """A cloud and the frame that it is in."""

    cloud: Cloud
    frame_id: str


@dataclass(frozen=True, eq=False)
class RecordedOdometry:
    """One odometry message: pose [4, 4] with covariance [6, 6], twist [6] in the child frame."""

    frame_id: str
    child_frame_id: str
    pose: np.ndarray
    covariance: np.ndarray
    twist: np.ndarray


@dataclass(frozen=True)
class RecordedStatus:
    """One entry of a diagnostics message; level 0 OK, 1 WARN, 2 ERROR, 3 STALE."""

    name: str
    level: int
    message: str
    values: Mapping[str, str]


class RecordedOutputs:
    """Outputs of the node in a recording, read from disk one message at a time.

    path:   rosbag2 folder
    prefix: the node's `output_prefix` (and namespace), empty by default

    `topics` are names without the prefix, such as 'front/depth/image_rect'. Where the same stamp
    was recorded twice on a topic (a bag played again), the later message counts. Every method that
    takes a stamp raises KeyError, naming topic and stamp, when nothing was recorded there.
    """

    def __init__(self, path: Path | str, prefix: str = '') -> None:
        self._reader = BagReader(path)
        self._prefix = f'/{prefix.strip("/")}/' if prefix.strip('/') else '/'
        self._log_times = self._index()

    def __enter__(self) -> RecordedOutputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.__exit__(kind, error, trace)

    @property
    def topics(self) -> tuple[str, ...]:
        """Recorded topics that carry a stamp, by name."""
        return tuple(sorted(self._log_times))

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras of which depth or labels were recorded."""
        names = {
            topic.removesuffix(suffix)
            for topic in self._log_times
            for suffix in (DEPTH_SUFFIX, LABELS_SUFFIX)
            if topic.endswith(suffix)
        }
        return tuple(sorted(names))

    def stamps(self, topic: str) -> tuple[int, ...]:
        """Stamps recorded on a topic, in order; none when nothing was."""
        return tuple(sorted(self._log_times.get(topic, ())))

    def message(self, topic: str, stamp: int) -> Any:
        """The whole message of a topic at a stamp."""
        times = self._log_times.get(topic, {})
        if stamp not in times:
            raise KeyError(
                f'{topic} has no message with stamp {stamp}; it has {len(times)} others'
            )
        name, found = self._prefix + topic, None
        for _, _, data in self._reader.messages([name], times[stamp], times[stamp]):
            if _header_stamp(data) == stamp:
                found = data
        assert found is not None
        return self._reader.decode(name, found)

    def depth(self, camera: str, stamp: int) -> np.ndarray:
        """float32 [h, w] metres, NaN invalid, from either encoding."""
        image = image_array(self.message(camera + DEPTH_SUFFIX, stamp))
        if image.dtype == np.uint16:
            return np.where(image == 0, np.float32(np.nan), image * np.float32(0.001))
        return image

    def depth_camera(self, camera: str, stamp: int) -> CameraModel:
        """The camera of the depth image."""
        return camera_from_info(self.message(f'{camera}/depth/camera_info', stamp), camera)

    def confidence(self, camera: str, stamp: int) -> np.ndarray:
        """float32 [h, w], 0..1."""
        return image_array(self.message(f'{camera}/depth/confidence', stamp))

    def labels(self, camera: str, stamp: int) -> np.ndarray:
        """uint8 [h, w], values of `Label`."""
        return image_array(self.message(camera + LABELS_SUFFIX, stamp))

    def dynamic_mask(self, camera: str, stamp: int) -> np.ndarray:
        """uint8 [H, W] at the size of the input image; 0 is static."""
        return image_array(self.message(f'{camera}/dynamic_mask', stamp))

    def flow(self, camera: str, stamp: int) -> RecordedFlow:
        """Flow by the stamp of its older image, with its interval."""
        interval = self.message(f'{camera}/flow/interval', stamp)
        flow = image_array(self.message(f'{camera}/flow', stamp))
        return RecordedFlow(flow, stamp_of(interval.header), nanoseconds(interval.time_ref))

    def flow_color(self, camera: str, stamp: int) -> np.ndarray:
        """uint8 [h, w, 3] RGB."""
        return image_array(self.message(f'{camera}/flow/image_color', stamp))

    def cloud(self, topic: str, stamp: int) -> RecordedCloud:
        """A cloud: '<camera>/points', 'points', 'points_static' or 'points_dynamic'."""
        message = self.message(topic, stamp)
        return RecordedCloud(cloud_of(message), message.header.frame_id)

    def pose(self, camera: str, stamp: int) -> np.ndarray:
        """Pose of a camera in the world, float64 [4, 4]."""
        return pose_matrix(self.message(f'{camera}/pose', stamp).pose)

    def odometry(self, stamp: int) -> RecordedOdometry:
        """Pose and twist of the rig."""
        message = self.message('odometry', stamp)
        linear, angular = message.twist.twist.linear, message.twist.twist.angular
        return RecordedOdometry(
            message.header.frame_id,
            message.child_frame_id,
            pose_matrix(message.pose.pose),
            np.array(message.pose.covariance).reshape(6, 6),
            np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z]),
        )

    def path(self, stamp: int) -> list[tuple[int, np.ndarray]]:
        """(stamp, pose [4, 4]) of the poses of a path message, oldest first."""
        poses = self.message('path', stamp).poses
        return [(stamp_of(entry.header), pose_matrix(entry.pose)) for entry in poses]

    def transforms(self, static: bool = False) -> list[Edge]:
        """Edges on `/tf` (or `/tf_static`) in the order recorded; none when not recorded."""
        topic = '/tf_static' if static else '/tf'
        if topic not in self._reader.topics:
            return []
        messages = self._reader.messages([topic])
        return [edge for _, _, d in messages for edge in edges_of(self._reader.decode(topic, d))]

    def diagnostics(self) -> list[tuple[int, tuple[RecordedStatus, ...]]]:
        """(log time, entries) of every message on `/diagnostics`; none when not recorded."""
        if '/diagnostics' not in self._reader.topics:
            return []
        return [
            (time, tuple(map(_status, self._reader.decode(topic, data).status)))
            for topic, time, data in self._reader.messages(['/diagnostics'])
        ]

    def _index(self) -> dict[str, dict[int, int]]:
        """Log time by topic and stamp, for the topics whose messages begin with a header."""
        wanted = [
            name
            for name, info in self._reader.topics.items()
            if name.startswith(self._prefix) and _begins_with_header(info.type)
        ]
        if not wanted:
            raise BagError(
                f'{self._reader.path} holds no output under {self._prefix}; it holds '
                f'{", ".join(sorted(self._reader.topics)) or "nothing"}'
            )
        index: dict[str, dict[int, int]] = {}
        for topic, time, data in self._reader.messages(wanted):
            index.setdefault(topic.removeprefix(self._prefix), {})[_header_stamp(data)] = time
        return index


def _begins_with_header(type_name: str) -> bool:
    package = type_name.split('/')[0]
    return package in ('sensor_msgs', 'nav_msgs') or type_name.endswith('/PoseStamped')


def _header_stamp(data: bytes) -> int:
    """Stamp of a CDR message that begins with a header, without decoding the rest."""
    seconds, rest = struct.unpack_from('<iI' if data[1] == 1 else '>iI', data, 4)
    return int(seconds) * SECOND + int(rest)


def _status(status: Any) -> RecordedStatus:
    level = status.level if isinstance(status.level, int) else status.level[0]
    values = {entry.key: entry.value for entry in status.values}
    return RecordedStatus(status.name, level, status.message, values)

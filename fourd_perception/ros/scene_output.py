"""An update of the scene goes out: topics, path and TF; on the inference thread."""

from __future__ import annotations

from collections import deque
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from fourd_perception.engine.scene_update import Output, SceneUpdate
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.ros.outputs import Outputs
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.transforms import Transforms
from fourd_perception.wire.scene import Outgoing, scene_messages, stamped_pose
from fourd_perception.wire.settings import WireSettings
from fourd_perception.wire.transforms import StampedPose, path_message, pose_message, tf_message

TF_TOPIC = '/tf'
TF_DEPTH = 100


def wire_settings(settings: Settings) -> WireSettings:
    """How the node's parameters want a scene written down."""
    return WireSettings(
        world_frame=settings.fixed_frame or settings.world_frame,
        base_frame=settings.base_frame,
        cloud_frame=settings.clouds_frame,
        cloud_voxel=settings.clouds_voxel,
        dynamic_value=settings.dynamic_value,
        depth_encoding=settings.depth_encoding,
    )


class SceneOutput:
    """Packs and publishes what is wanted of each update.

    wire:        may be replaced at any time
    tf_listened: whether another node listens to /tf; set by the watch over the graph
    """

    def __init__(
        self, node: LifecycleNode, settings: Settings, outputs: Outputs, transforms: Transforms
    ) -> None:
        self.wire = wire_settings(settings)
        self.tf_listened = False
        self._node = node
        self._outputs = outputs
        self._transforms = transforms
        self._types = RclpyTypes()
        self._path: deque[Any] = deque(maxlen=settings.path_length)
        self._previous: StampedPose | None = None
        broadcasts = settings.tf_mode != 'none' and not settings.fixed_frame
        self._tf: Publisher | None = None
        if broadcasts:
            tf_class = self._types.message('tf2_msgs/msg/TFMessage')
            self._tf = node.create_lifecycle_publisher(tf_class, TF_TOPIC, QoSProfile(depth=TF_DEPTH))

    def wanted(self) -> frozenset[Output]:
        """What somebody subscribes to."""
        plan = self._transforms.plan
        broadcasts = self._tf is not None and (plan is None or plan.mode != 'none')
        tf = {Output.TF} if broadcasts and self.tf_listened else frozenset()
        return self._outputs.wanted() | tf

    def publish(
        self, update: SceneUpdate, wanted: frozenset[Output], seconds: dict[str, float]
    ) -> None:
        """Send off everything wanted of an update; seconds per stage are added."""
        if Output.TF in wanted:
            self._broadcast(update)
        for outgoing in scene_messages(
            update, wanted, self.wire, self._types, seconds, self._previous
        ):
            self._send(outgoing, seconds)
        pose = stamped_pose(update)
        if pose is None:
            return
        self._previous = pose
        world = self.wire.world_frame
        self._path.append(pose_message(self._types, pose.stamp, world, pose.world_from_base))
        if Output.PATH in wanted:
            path = path_message(self._types, pose.stamp, world, self._path)
            self._send(Outgoing('path', 'nav_msgs/msg/Path', path), seconds)

    def restart(self) -> None:
        """Begin a new path."""
        self._path.clear()
        self._previous = None
        self._transforms.restart()

    def destroy(self) -> None:
        """Take the publishers off the graph."""
        self._outputs.destroy()
        if self._tf is not None:
            self._node.destroy_lifecycle_publisher(self._tf)

    def _broadcast(self, update: SceneUpdate) -> None:
        edges = self._transforms.edges(update)
        if edges and self._tf is not None:
            self._tf.publish(tf_message(self._types, edges))

    def _send(self, outgoing: Outgoing, seconds: dict[str, float]) -> None:
        started = time.perf_counter()
        self._outputs.send(outgoing)
        seconds['publish'] = seconds.get('publish', 0.0) + time.perf_counter() - started

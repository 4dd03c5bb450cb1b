"""All subscriptions of the node: images and CameraInfo of every camera, and TF."""

from __future__ import annotations

from functools import partial
from typing import Any

from fourd_perception.ros.intake import Intake
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.subscriptions import FollowingSubscription
from fourd_perception.ros.tf_buffer import TfBuffer
from fourd_perception.wire.transforms import edges_of
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

TF_DEPTH = 100


class Inputs:
    """Subscriptions from `activate` to `deactivate`; `check` once a second."""

    def __init__(self, node: Node, settings: Settings, intake: Intake, buffer: TfBuffer) -> None:
        types = RclpyTypes()
        image, info = (
            types.message('sensor_msgs/msg/Image'),
            types.message('sensor_msgs/msg/CameraInfo'),
        )
        self.images = {
            camera: FollowingSubscription(
                node, image, settings.image_topic_of(camera), partial(intake.image, camera)
            )
            for camera in settings.cameras
        }
        self.infos = {
            camera: FollowingSubscription(
                node,
                info,
                settings.camera_info_topic_of(camera),
                intake.calibrations[camera].store,
            )
            for camera in settings.cameras
        }
        self._node = node
        self._buffer = buffer
        tf = types.message('tf2_msgs/msg/TFMessage')
        latched = QoSProfile(depth=TF_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._tf = [
            node.create_subscription(
                tf, '/tf', partial(self._transforms, False), QoSProfile(depth=TF_DEPTH)
            ),
            node.create_subscription(tf, '/tf_static', partial(self._transforms, True), latched),
        ]

    def check(self) -> None:
        """Subscribe to what has appeared, and again to what has changed.

        CameraInfo first: of what has arrived, executors serve older subscriptions first, and a
        camera's first image needs its calibration.
        """
        for subscription in (*self.infos.values(), *self.images.values()):
            subscription.check()

    def destroy(self) -> None:
        """Stop reading everything."""
        for subscription in (*self.images.values(), *self.infos.values()):
            subscription.destroy()
        for subscription in self._tf:
            self._node.destroy_subscription(subscription)

    def _transforms(self, static: bool, message: Any) -> None:
        try:
            self._buffer.receive(edges_of(message), static)
        except ValueError as error:
            self._buffer.fault = str(error)

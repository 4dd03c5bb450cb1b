"""What the values of label images mean, latched, where `vision_msgs` is installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fourd_perception.engine.scene_update import Label
from fourd_perception.ros.messages import RclpyTypes
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def publish_label_info(node: LifecycleNode, topics: Iterable[str]) -> list[Publisher]:
    """A publisher for each topic, which has published; none without `vision_msgs`.

    They are no lifecycle publishers: what is latched is known from configure on.
    """
    try:
        message = _message(node)
    except ImportError:
        return []
    publishers = [node.create_publisher(type(message), topic, LATCHED) for topic in topics]
    for publisher in publishers:
        publisher.publish(message)
    return publishers


def _message(node: LifecycleNode) -> Any:
    types = RclpyTypes()
    info = types.message('vision_msgs/msg/LabelInfo')()
    info.header.stamp = node.get_clock().now().to_msg()
    vision_class = types.message('vision_msgs/msg/VisionClass')
    info.class_map = [
        vision_class(class_id=int(label), class_name=label.name.lower()) for label in Label
    ]
    return info

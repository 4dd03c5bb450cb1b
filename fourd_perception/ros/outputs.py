"""The publishers of the scene: made in configure, destroyed in cleanup."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from fourd_perception.engine.scene_update import Output
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.wire.scene import Outgoing
from fourd_perception.wire.topics import scene_topics

DEPTH = 5
OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


class Outputs:
    """A lifecycle publisher for every topic of the scene.

    Raises RuntimeError when another node publishes one of the topics already: two sources of one
    topic are indistinguishable to those who subscribe.
    """

    def __init__(self, node: LifecycleNode, cameras: tuple[str, ...], prefix: str) -> None:
        self._node = node
        self._specs = {f'{prefix}{spec.name}': spec for spec in scene_topics(cameras)}
        self._prefix = prefix
        self._publishers: dict[str, LifecyclePublisher] = {}
        foreign = self.foreign_publisher()
        if foreign:
            raise RuntimeError(foreign)
        types = RclpyTypes()
        for topic, spec in self._specs.items():
            self._publishers[topic] = node.create_lifecycle_publisher(
                types.message(spec.type),
                topic,
                QoSProfile(
                    depth=DEPTH,
                    reliability=ReliabilityPolicy.RELIABLE,
                    durability=DurabilityPolicy.VOLATILE,
                ),
                qos_overriding_options=QoSOverridingOptions(OVERRIDABLE),
            )

    def wanted(self) -> frozenset[Output]:
        """What somebody subscribes to."""
        return frozenset(
            self._specs[topic].output
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count()
        )

    def send(self, outgoing: Outgoing) -> None:
        """Publish one message of the scene, unless nobody listens to its topic."""
        publisher = self._publishers[f'{self._prefix}{outgoing.topic}']
        if publisher.get_subscription_count():
            publisher.publish(outgoing.message)

    def foreign_publisher(self) -> str:
        """Which other node publishes one of our topics, with the remedy; empty when none does."""
        me = (self._node.get_name(), self._node.get_namespace())
        for topic in self._specs:
            infos = self._node.get_publishers_info_by_topic(topic)
            names = [(info.node_name, info.node_namespace) for info in infos]
            if topic in self._publishers and me in names:
                names.remove(me)
            if names:
                name, namespace = names[0]
                return (
                    f'{self._node.resolve_topic_name(topic)} is already published by '
                    f'{namespace.rstrip("/")}/{name}; stop that node, or set output_prefix, such '
                    'as fourd/'
                )
        return ''

    def destroy(self) -> None:
        """Take every publisher off the graph."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

"""The publishers of the scene: made in configure, destroyed in cleanup."""

from __future__ import annotations

from typing import Any

from fourd_perception.engine.scene_update import Output
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.ros.settings import Settings
from fourd_perception.wire.topics import scene_topics
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo

DEPTH = 5
TF_TOPIC = '/tf'
TF_DEPTH = 100
OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


class Outputs:
    """A lifecycle publisher for every topic of the scene, and one for /tf if we broadcast.

    tf_listened: whether another node listens to /tf, as of the last `look`

    Raises RuntimeError when another node publishes one of the topics already: two sources of one
    topic are indistinguishable to those who subscribe.
    """

    def __init__(self, node: LifecycleNode, settings: Settings) -> None:
        self.tf_listened = False
        self._node = node
        self._prefix = settings.prefix
        self._specs = {f'{self._prefix}{s.name}': s for s in scene_topics(settings.cameras)}
        self._publishers: dict[str, LifecyclePublisher] = {}
        self._tf: LifecyclePublisher | None = None
        foreign = self.foreign_publisher()
        if foreign:
            raise RuntimeError(foreign)
        try:
            self._create(settings)
        except Exception:
            self.destroy()
            raise

    def wanted(self) -> frozenset[Output]:
        """What somebody subscribes to."""
        listened = {
            self._specs[topic].output
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count()
        }
        return frozenset(listened | {Output.TF} if self.tf_listened else listened)

    def send(self, topic: str, message: Any) -> Output:
        """Publish a message on a topic of the scene, unless nobody listens; what it belongs to."""
        name = f'{self._prefix}{topic}'
        if self._publishers[name].get_subscription_count():
            self._publishers[name].publish(message)
        return self._specs[name].output

    def broadcast(self, message: Any) -> None:
        """Publish a TFMessage."""
        assert self._tf is not None, 'the settings say that nothing is broadcast'
        self._tf.publish(message)

    def look(self) -> None:
        """Ask the graph who listens to /tf; we do ourselves, so counting is not enough."""
        listeners = self._node.get_subscriptions_info_by_topic(TF_TOPIC) if self._tf else []
        self.tf_listened = any(not self._is_own(info) for info in listeners)

    def foreign_publisher(self) -> str:
        """Which other node publishes one of our topics, with the remedy; empty when none does."""
        for topic in self._specs:
            infos = self._node.get_publishers_info_by_topic(topic)
            own = [info for info in infos if self._is_own(info)]
            foreign = [info for info in infos if info not in own]
            # A second node of our name is no less foreign.
            foreign += own[1:] if topic in self._publishers else own
            if foreign:
                namespace = foreign[0].node_namespace.rstrip('/')
                return (
                    f'{self._node.resolve_topic_name(topic)} is already published by '
                    f'{namespace}/{foreign[0].node_name}; stop that node, or set output_prefix, '
                    'such as fourd/'
                )
        return ''

    def destroy(self) -> None:
        """Take every publisher off the graph."""
        for publisher in [*self._publishers.values(), *([self._tf] if self._tf else [])]:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()
        self._tf = None

    def _create(self, settings: Settings) -> None:
        types = RclpyTypes()
        for topic, spec in self._specs.items():
            self._publishers[topic] = self._node.create_lifecycle_publisher(
                types.message(spec.type),
                topic,
                QoSProfile(
                    depth=DEPTH,
                    reliability=ReliabilityPolicy.RELIABLE,
                    durability=DurabilityPolicy.VOLATILE,
                ),
                qos_overriding_options=QoSOverridingOptions(OVERRIDABLE),
            )
        if settings.broadcasts:
            self._tf = self._node.create_lifecycle_publisher(
                types.message('tf2_msgs/msg/TFMessage'), TF_TOPIC, QoSProfile(depth=TF_DEPTH)
            )

    def _is_own(self, info: TopicEndpointInfo) -> bool:
        me = (self._node.get_name(), self._node.get_namespace())
        return (info.node_name, info.node_namespace) == me

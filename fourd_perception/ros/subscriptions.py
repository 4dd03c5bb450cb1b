"""Subscriptions that follow their publishers: made when one appears, in its reliability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

DEPTH = 5
FOLLOW = 'publisher'


class FollowingSubscription:
    """One input topic. `check` looks at the graph; call it about once a second.

    A reliable reader gets nothing from a best-effort writer, and a best-effort reader loses large
    images even from a reliable one, so the reader takes what its writers offer. The parameter
    `qos_overrides.<topic>.subscription.reliability` (reliable, best_effort) overrides that.

    problem: why nothing can arrive, in plain words; empty when a publisher is there
    """

    def __init__(
        self, node: Node, message_class: Any, topic: str, callback: Callable[[Any], None]
    ) -> None:
        self.topic = node.resolve_topic_name(topic)
        self.problem = ''
        self._node = node
        self._class = message_class
        self._name = topic
        self._callback = callback
        self._subscription: Subscription | None = None
        self._offered: ReliabilityPolicy | None = None
        self._override = _reliability_override(node, self.topic)

    @property
    def reliability(self) -> str:
        """How the topic is read: `reliable`, `best_effort`, or `not yet`."""
        return 'not yet' if self._offered is None else self._offered.name.lower()

    def check(self) -> None:
        """Subscribe when a publisher is there, and again when what it offers has changed."""
        infos = self._node.get_publishers_info_by_topic(self._name)
        types = {info.topic_type for info in infos} - {_type_name(self._class)}
        if not infos:
            # A subscription stays: most publishers that went come back as they were.
            self.problem = f'nobody publishes {self.topic}'
            return
        if types:
            self.problem = f'{self.topic} is a {", ".join(types)}, not {_type_name(self._class)}'
            return
        self.problem = ''
        reliable = all(i.qos_profile.reliability == ReliabilityPolicy.RELIABLE for i in infos)
        offered = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        wanted = self._override or offered
        if wanted != self._offered:
            self._subscribe(wanted)

    def destroy(self) -> None:
        """Stop reading."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription, self._offered = None, None

    def _subscribe(self, reliability: ReliabilityPolicy) -> None:
        self.destroy()
        self._offered = reliability
        self._subscription = self._node.create_subscription(
            self._class,
            self._name,
            self._callback,
            QoSProfile(depth=DEPTH, reliability=reliability),
            # Reliability is left out: rclpy would declare it once and keep the first value.
            qos_overriding_options=QoSOverridingOptions(
                (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)
            ),
        )


def _reliability_override(node: Node, topic: str) -> ReliabilityPolicy | None:
    name = f'qos_overrides.{topic}.subscription.reliability'
    if not node.has_parameter(name):
        what = f'{FOLLOW} (what the publisher offers), reliable, or best_effort'
        node.declare_parameter(name, FOLLOW, ParameterDescriptor(description=what, read_only=True))
    value = node.get_parameter(name).value
    if value == FOLLOW:
        return None
    try:
        return ReliabilityPolicy[str(value).upper()]
    except KeyError:
        raise ValueError(f'{name} {value!r}: write {FOLLOW}, reliable or best_effort') from None


def _type_name(message_class: Any) -> str:
    package = message_class.__module__.partition('.')[0]
    return f'{package}/msg/{message_class.__name__}'

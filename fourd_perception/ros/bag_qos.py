"""Quality of service between recordings and rclpy."""

from __future__ import annotations

from fourd_perception.bag.qos import TopicQos
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# Room for what arrives between two rounds of a loop that also publishes images.
QUEUE = 100


def publishing_profile(recorded: TopicQos) -> QoSProfile:
    """Profile to publish with, so that subscribers match as they did when it was recorded."""
    return _profile(recorded.reliable, recorded.transient_local, recorded.depth)


def listening_profile(offered: QoSProfile) -> QoSProfile:
    """Profile of a subscription that matches a publisher and has room for a burst."""
    recorded = recorded_qos(offered)
    return _profile(recorded.reliable, recorded.transient_local, QUEUE)


def recorded_qos(offered: QoSProfile) -> TopicQos:
    """What a publisher offers, for a recording; the graph does not tell its depth."""
    return TopicQos(
        reliable=offered.reliability != ReliabilityPolicy.BEST_EFFORT,
        transient_local=offered.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def _profile(reliable: bool, transient_local: bool, depth: int) -> QoSProfile:
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL if transient_local else DurabilityPolicy.VOLATILE
        ),
    )

"""Quality of service offered by a publisher, as recordings keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

FOREVER = QosTime(9_223_372_036, 854_775_807)


@dataclass(frozen=True)
class TopicQos:
    """What a publisher of a topic offers; history is always the last `depth` messages."""

    reliable: bool = True
    transient_local: bool = False
    depth: int = 5


DEFAULT = TopicQos()
LATCHED = TopicQos(transient_local=True, depth=1)


def to_recorded(qos: TopicQos) -> Qos:
    """The full set of policies that a recording stores."""
    return Qos(
        QosHistory.KEEP_LAST,
        qos.depth,
        QosReliability.RELIABLE if qos.reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if qos.transient_local else QosDurability.VOLATILE,
        FOREVER,
        FOREVER,
        QosLiveliness.AUTOMATIC,
        FOREVER,
        False,
    )


def from_recorded(offers: Sequence[Qos]) -> TopicQos:
    """One offer that every subscriber of the recorded publishers can take; default when empty.

    Where publishers differed: reliable, or transient-local, only if all of them were.
    """
    if not offers:
        return DEFAULT
    return TopicQos(
        reliable=all(offer.reliability != QosReliability.BEST_EFFORT for offer in offers),
        transient_local=all(offer.durability == QosDurability.TRANSIENT_LOCAL for offer in offers),
        depth=max(1, *(offer.depth for offer in offers)),
    )

"""Records what a node publishes, byte for byte, and counts what got lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fourd_perception.bag.reader import BagError
from fourd_perception.bag.writer import BagWriter
from fourd_perception.ros.bag_qos import listening_profile, recorded_qos
from fourd_perception.ros.messages import RclpyTypes
from rclpy.node import Node, NodeNameNonExistentError
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

# Of every node, and no output: hundreds at its start, when parameters are declared.
BOOKKEEPING = ('/parameter_events',)


@dataclass
class RecordedTopic:
    """One recorded topic.

    count:   messages of the recorded node
    foreign: messages of other publishers on the same topic, such as drivers on `/tf`
    size:    bytes of all of them
    lost:    messages that the node published after the first one received, and that never came;
             None where the middleware does not number its messages
    """

    type: str
    subscription: Subscription[Any]
    writers: set[bytes]
    count: int = 0
    foreign: int = 0
    size: int = 0
    lost: int | None = 0
    last_number: dict[bytes, int] = field(default_factory=dict)


class Recorder:
    """Subscribes to every output of `source` as they appear, and fills a bag.

    node:   an rclpy node that needs no spinning: `drain` takes the messages itself, which costs a
            hundredth of what an executor does for fifty topics
    source: full name of the recorded node, such as `/fourd_perception`
    clock:  time to write down, nanoseconds
    shared: topics recorded whoever publishes them, so that the bag can be read on its own

    topics:     what is recorded, by name; `skipped`: what cannot be, with the reason
    on_message: called with (topic, wall clock of sending in ns, payload) for the node's messages
    """

    def __init__(
        self,
        node: Node,
        source: str,
        writer: BagWriter,
        clock: Callable[[], int],
        shared: Iterable[str] = ('/tf', '/tf_static'),
    ) -> None:
        self._node, self._writer, self._clock = node, writer, clock
        self._namespace, _, self._name = source.rpartition('/')
        self._shared = frozenset(shared)
        self._types = RclpyTypes()
        self.topics: dict[str, RecordedTopic] = {}
        self.skipped: dict[str, str] = {}
        self.on_message: Callable[[str, int, bytes], None] | None = None

    def discover(self) -> int:
        """Subscribe to what has appeared since the last call; the number of new topics."""
        try:
            found = self._node.get_publisher_names_and_types_by_node(
                self._name, self._namespace or '/'
            )
        except NodeNameNonExistentError:
            return 0
        found += [t for t in self._node.get_topic_names_and_types() if t[0] in self._shared]
        before = len(self.topics)
        for topic, types in found:
            self._subscribe(topic, types[0])
        return len(self.topics) - before

    def matched(self) -> bool:
        """Whether every subscription has a publisher, and there is one at all."""
        return bool(self.topics) and all(
            recorded.subscription.get_publisher_count() > 0 for recorded in self.topics.values()
        )

    def drain(self) -> int:
        """Take and write everything that has arrived; the number of messages."""
        taken = 0
        for topic, recorded in self.topics.items():
            handle = recorded.subscription.handle
            with handle:
                while item := handle.take_message(recorded.subscription.msg_type, True):
                    self._store(topic, recorded, *item)
                    taken += 1
        return taken

    def _subscribe(self, topic: str, type_name: str) -> None:
        infos = self._node.get_publishers_info_by_topic(topic)
        own = [info for info in infos if self._is_source(info)]
        if topic in self.topics:
            self.topics[topic].writers |= {bytes(info.endpoint_gid) for info in own}
            return
        if topic in self.skipped or topic in BOOKKEEPING or not infos:
            return
        try:
            message_class = self._types.message(type_name)
            offered = (own or infos)[0].qos_profile
            self._writer.topic(topic, type_name, recorded_qos(offered))
        except (ImportError, AttributeError, BagError) as error:
            self.skipped[topic] = str(error)
            return
        subscription = self._node.create_subscription(
            message_class, topic, lambda message: None, listening_profile(offered), raw=True
        )
        self.topics[topic] = RecordedTopic(
            type_name, subscription, {bytes(info.endpoint_gid) for info in own}
        )

    def _is_source(self, info: TopicEndpointInfo) -> bool:
        return (info.node_name, info.node_namespace.rstrip('/')) == (self._name, self._namespace)

    def _store(
        self, topic: str, recorded: RecordedTopic, payload: bytes, info: dict[str, Any]
    ) -> None:
        self._writer.write(topic, self._clock(), payload)
        recorded.size += len(payload)
        # Older distributions tell neither who published a message nor its number.
        writer = info.get('publisher_gid', {}).get('data')
        number = info.get('publication_sequence_number')
        if topic in self._shared and writer is not None and writer not in recorded.writers:
            recorded.foreign += 1
            return
        recorded.count += 1
        if writer is None or number is None:
            recorded.lost = None
        elif recorded.lost is not None:
            last = recorded.last_number.get(writer, number - 1)
            recorded.lost += max(0, number - last - 1)
            recorded.last_number[writer] = number
        if self.on_message:
            self.on_message(topic, info['source_timestamp'], payload)

"""Reading rosbag2 recordings (mcap or sqlite3) without ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from fourd_perception.bag.qos import from_recorded, TopicQos
from fourd_perception.bag.types import deserialise, typestore
from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys import get_types_from_msg


class BagError(ValueError):
    """A recording that cannot be read or written as asked."""


@dataclass(frozen=True)
class TopicInfo:
    """A topic of a recording: message type, QoS offered by its publishers, message count."""

    type: str
    qos: TopicQos
    count: int


class BagReader:
    """A rosbag2 recording, open while the `with` block lasts.

    Raises BagError when the path is no recording or the recording is broken.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except (ReaderError, OSError) as error:
            raise BagError(
                f'{self.path} is not a readable rosbag2 recording (a folder with metadata.yaml, '
                f'or an .mcap file): {error}'
            ) from error
        self._connections: dict[str, list[Connection]] = {}
        for connection in self._reader.connections:
            self._connections.setdefault(connection.topic, []).append(connection)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    @property
    def topics(self) -> Mapping[str, TopicInfo]:
        """What is recorded, by topic name."""
        return {topic: _topic_info(found) for topic, found in self._connections.items()}

    @property
    def start(self) -> int:
        """Log time of the first message, nanoseconds."""
        return self._reader.start_time

    @property
    def end(self) -> int:
        """Log time of the last message, nanoseconds."""
        return self._reader.end_time - 1

    def messages(
        self,
        topics: Collection[str] | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[tuple[str, int, bytes]]:
        """(topic, log time in ns, CDR bytes) in the order of log times, all topics by default.

        start, end: first and last log time wanted. Raises BagError for a topic not recorded.
        """
        wanted = self._connections if topics is None else topics
        missing = [topic for topic in wanted if topic not in self._connections]
        if missing:
            raise BagError(
                f'{self.path} holds no topic {", ".join(missing)}; it holds '
                f'{", ".join(sorted(self._connections))}'
            )
        connections = [c for topic in wanted for c in self._connections[topic]]
        if not connections:
            return
        stop = None if end is None else end + 1
        try:
            for connection, time, data in self._reader.messages(connections, start, stop):
                yield connection.topic, time, bytes(data)
        except ReaderError as error:
            raise BagError(f'{self.path} is broken: {error}') from error

    def decode(self, topic: str, data: bytes) -> Any:
        """The message in the bytes of a topic (classes as of `BagTypes`).

        A type that this package does not know is learned from the recording itself.
        """
        connection = self._connections[topic][0]
        store = typestore()
        if connection.msgtype not in store.fielddefs:
            if not connection.msgdef.data:
                raise BagError(
                    f'{self.path}: {topic} has the unknown type {connection.msgtype}, and the '
                    'recording does not hold its definition'
                )
            learned = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            known = store.fielddefs
            store.register({name: d for name, d in learned.items() if name not in known})
        return deserialise(data, connection.msgtype)


def _topic_info(connections: list[Connection]) -> TopicInfo:
    offers = [
        offer
        for connection in connections
        if isinstance(connection.ext, ConnectionExtRosbag2)
        for offer in connection.ext.offered_qos_profiles
    ]
    count = sum(connection.msgcount for connection in connections)
    return TopicInfo(connections[0].msgtype, from_recorded(offers), count)

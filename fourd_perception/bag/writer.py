"""Writing rosbag2 recordings (mcap) without ROS."""

from __future__ import annotations

from pathlib import Path
import shutil
from types import TracebackType
from typing import Any, Literal

from fourd_perception.bag.qos import DEFAULT, to_recorded, TopicQos
from fourd_perception.bag.reader import BagError
from fourd_perception.bag.types import serialise, typestore
from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

# The newest metadata version that Humble reads too.
METADATA_VERSION: Literal[8] = 8


class BagWriter:
    """A new rosbag2 folder with one mcap file and metadata.yaml, as `ros2 bag play` takes it.

    Nothing is compressed: images would shrink by a quarter and take twice the time to read.
    Messages should come in the order of their log times. `close` (or the end of a `with` block,
    also after an error) leaves a whole recording of what was written; `discard` leaves nothing.
    Raises BagError when the folder is already there.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._topics: dict[str, Connection] = {}
        try:
            self._writer = Writer(
                self.path, version=METADATA_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.open()
        except (WriterError, OSError) as error:
            raise BagError(
                f'cannot write a recording to {self.path}: {error}; choose another name, or '
                'remove what is there'
            ) from error
        self._open = True

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def topic(self, name: str, type_name: str, qos: TopicQos = DEFAULT) -> None:
        """Declare a topic, its type and the QoS that its publisher offers."""
        if not name.startswith('/'):
            raise BagError(f'topic {name!r} must start with a slash, as recordings name topics')
        if name in self._topics:
            raise BagError(f'topic {name} was declared before; declare each topic once')
        if type_name not in typestore().fielddefs:
            raise BagError(f'topic {name} has the type {type_name}, whose definition is not known')
        self._topics[name] = self._writer.add_connection(
            name, type_name, typestore=typestore(), offered_qos_profiles=[to_recorded(qos)]
        )

    def write(self, topic: str, log_time: int, message: bytes | memoryview | Any) -> None:
        """Append a message: CDR bytes as DDS carries them, or a message of `BagTypes`."""
        if topic not in self._topics:
            raise BagError(f'topic {topic} was not declared; call `topic` first')
        data = message if isinstance(message, (bytes, memoryview)) else serialise(message)
        self._writer.write(self._topics[topic], log_time, data)

    def close(self) -> None:
        """Finish the recording; calling it again does nothing."""
        if self._open:
            self._open = False
            self._writer.close()

    def discard(self) -> None:
        """Remove the recording."""
        self.close()
        shutil.rmtree(self.path)

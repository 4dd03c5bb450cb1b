"""Which topics of a recording are cameras that the node can read."""

from __future__ import annotations

from collections.abc import Mapping
import re

from fourd_perception.bag.reader import BagError, TopicInfo
from fourd_perception.wire.topics import CAMERA_INFO, IMAGE

# What a recording says of itself is no camera: the truth beside it, and outputs of this node.
NOT_CAMERAS = re.compile(r'ground_truth/|.*/depth$')


def find_cameras(
    topics: Mapping[str, TopicInfo], image_topic: str, camera_info_topic: str
) -> tuple[str, ...]:
    """Names of the cameras with images and CameraInfo, in alphabetical order.

    image_topic, camera_info_topic: as the node's parameters, `{camera}` where the name belongs.
    Raises BagError, with the images that there are, when no topic fits.
    """
    pattern = re.compile(
        re.escape(absolute(image_topic)).replace(re.escape('{camera}'), '(?P<camera>.+)')
    )
    found = []
    for name, info in topics.items():
        match = pattern.fullmatch(name) if info.type == IMAGE else None
        camera = match.groupdict().get('camera', '') if match else ''
        infos = topics.get(absolute(camera_info_topic.replace('{camera}', camera)))
        if camera and not NOT_CAMERAS.match(camera) and infos and infos.type == CAMERA_INFO:
            found.append(camera)
    if found:
        return tuple(sorted(found))
    images = sorted(name for name, info in topics.items() if info.type == IMAGE)
    raise BagError(
        f'no camera found: no Image topic fits {image_topic!r} with CameraInfo on '
        f'{camera_info_topic!r}; Image topics of the recording: {", ".join(images) or "none"}. '
        'Set image_topic and camera_info_topic'
    )


def absolute(topic: str) -> str:
    """The name of a topic that a node without namespace publishes."""
    return topic if topic.startswith('/') else f'/{topic}'

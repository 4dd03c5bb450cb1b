"""Names and types of the scene's topics, relative and without a prefix (design section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fourd_perception.engine.scene_update import Output

IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
CLOUD = 'sensor_msgs/msg/PointCloud2'

CAMERA_TOPICS: dict[Output, dict[str, str]] = {
    Output.DEPTH: {'{camera}/depth/image_rect': IMAGE, '{camera}/depth/camera_info': CAMERA_INFO},
    Output.CONFIDENCE: {'{camera}/depth/confidence': IMAGE},
    Output.DYNAMIC_MASK: {
        '{camera}/dynamic_mask': IMAGE,
        '{camera}/dynamic_mask/camera_info': CAMERA_INFO,
    },
    Output.LABELS: {'{camera}/labels': IMAGE},
    Output.FLOW: {
        '{camera}/flow': IMAGE,
        '{camera}/flow/interval': 'sensor_msgs/msg/TimeReference',
    },
    Output.FLOW_COLOR: {'{camera}/flow/image_color': IMAGE},
    Output.CAMERA_POINTS: {'{camera}/points': CLOUD},
    Output.POSE: {'{camera}/pose': 'geometry_msgs/msg/PoseStamped'},
}
RIG_TOPICS: dict[Output, dict[str, str]] = {
    Output.POINTS: {'points': CLOUD},
    Output.POINTS_STATIC: {'points_static': CLOUD},
    Output.POINTS_DYNAMIC: {'points_dynamic': CLOUD},
    Output.ODOMETRY: {'odometry': 'nav_msgs/msg/Odometry'},
    Output.PATH: {'path': 'nav_msgs/msg/Path'},
}


@dataclass(frozen=True)
class TopicSpec:
    """A topic, its message type, and the output that it carries."""

    name: str
    type: str
    output: Output


def scene_topics(cameras: Iterable[str]) -> list[TopicSpec]:
    """Every topic of the scene for these cameras, `path` included; TF and diagnostics are not."""
    specs = [
        TopicSpec(template.format(camera=camera), type_name, output)
        for camera in cameras
        for output, topics in CAMERA_TOPICS.items()
        for template, type_name in topics.items()
    ]
    return specs + [
        TopicSpec(name, type_name, output)
        for output, topics in RIG_TOPICS.items()
        for name, type_name in topics.items()
    ]

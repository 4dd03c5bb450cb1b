"""Poses, transforms and odometry <-> messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fourd_perception.geometry.poses import (
    invert,
    quaternion_from_rotation,
    rotation_from_quaternion,
    transform,
)
from fourd_perception.wire.message_types import MessageTypes
from fourd_perception.wire.stamps import header_of, SECOND, stamp_of
import numpy as np

UNKNOWN_VARIANCE = 1e6


@dataclass(frozen=True, eq=False)
class Edge:
    """One edge of a transform tree: `parent_from_child` [4, 4] in metres at `stamp` (ns)."""

    parent: str
    child: str
    parent_from_child: np.ndarray
    stamp: int


@dataclass(frozen=True, eq=False)
class StampedPose:
    """A pose [4, 4] in metres at `stamp` (ns), with its covariance [6, 6] where known."""

    stamp: int
    world_from_base: np.ndarray
    covariance: np.ndarray | None = None


def edges_of(tf_message: Any) -> list[Edge]:
    """Edges of a tf2_msgs/TFMessage; leading slashes of frame names are dropped, as tf2 does.

    Raises ValueError, naming both frames, for a quaternion that is no rotation.
    """
    edges = []
    for message in tf_message.transforms:
        parent, child = message.header.frame_id.lstrip('/'), message.child_frame_id.lstrip('/')
        try:
            pose = _matrix(message.transform.translation, message.transform.rotation)
        except ValueError as error:
            raise ValueError(f'transform {parent} -> {child}: {error}') from error
        edges.append(Edge(parent, child, pose, stamp_of(message.header)))
    return edges


def pose_matrix(pose: Any) -> np.ndarray:
    """[4, 4] of a geometry_msgs/Pose."""
    return _matrix(pose.position, pose.orientation)


def tf_message(types: MessageTypes, edges: Iterable[Edge]) -> Any:
    """tf2_msgs/TFMessage of edges."""
    return types.message('tf2_msgs/msg/TFMessage')(
        transforms=[
            types.message('geometry_msgs/msg/TransformStamped')(
                header=header_of(types, edge.stamp, edge.parent),
                child_frame_id=edge.child,
                transform=types.message('geometry_msgs/msg/Transform')(
                    translation=_vector(types, edge.parent_from_child[:3, 3]),
                    rotation=_quaternion(types, edge.parent_from_child),
                ),
            )
            for edge in edges
        ]
    )


def pose_message(
    types: MessageTypes, stamp: int, frame_id: str, frame_from_body: np.ndarray
) -> Any:
    """geometry_msgs/PoseStamped of a body in `frame_id`."""
    return types.message('geometry_msgs/msg/PoseStamped')(
        header=header_of(types, stamp, frame_id), pose=_pose(types, frame_from_body)
    )


def path_message(types: MessageTypes, stamp: int, frame_id: str, poses: Sequence[Any]) -> Any:
    """nav_msgs/Path of PoseStamped messages, oldest first."""
    return types.message('nav_msgs/msg/Path')(
        header=header_of(types, stamp, frame_id), poses=list(poses)
    )


def odometry_message(
    types: MessageTypes,
    world: str,
    child: str,
    pose: StampedPose,
    previous: StampedPose | None,
) -> Any:
    """nav_msgs/Odometry: pose in `world`, twist in `child` from the motion since `previous`.

    Unknown covariances (none given; the twist without a previous pose) get 1e6 on the diagonal,
    which no filter takes for knowledge.
    """
    twist, twist_covariance = np.zeros(6), None
    if previous is not None and pose.stamp > previous.stamp:
        seconds = (pose.stamp - previous.stamp) / SECOND
        twist = body_twist(previous.world_from_base, pose.world_from_base, seconds)
        twist_covariance = _twist_covariance(previous, pose, seconds)
    return types.message('nav_msgs/msg/Odometry')(
        header=header_of(types, pose.stamp, world),
        child_frame_id=child,
        pose=types.message('geometry_msgs/msg/PoseWithCovariance')(
            pose=_pose(types, pose.world_from_base), covariance=_covariance(types, pose.covariance)
        ),
        twist=types.message('geometry_msgs/msg/TwistWithCovariance')(
            twist=types.message('geometry_msgs/msg/Twist')(
                linear=_vector(types, twist[:3]), angular=_vector(types, twist[3:])
            ),
            covariance=_covariance(types, twist_covariance),
        ),
    )


def body_twist(
    world_from_old: np.ndarray, world_from_new: np.ndarray, seconds: float
) -> np.ndarray:
    """Constant twist [6] (m/s, rad/s; in the body's own frame) that leads from old to new.

    The SE(3) logarithm over time: exact for a body on an arc, where a difference of positions,
    turned into the new frame, would point half a turn off.
    """
    motion = invert(world_from_old) @ world_from_new
    x, y, z, w = quaternion_from_rotation(motion[:3, :3])
    sine = float(np.linalg.norm([x, y, z]))
    angle = 2.0 * np.arctan2(sine, w)
    turn = np.array([x, y, z]) * (angle / sine if sine > 1e-12 else 2.0)
    cross = np.array([[0, -turn[2], turn[1]], [turn[2], 0, -turn[0]], [-turn[1], turn[0], 0]])
    # 1/a^2 - cot(a/2)/(2a), by its series where the difference of large numbers would lose digits
    k = 1 / 12 if angle < 1e-4 else (1 - 0.5 * angle / np.tan(0.5 * angle)) / angle**2
    linear = (np.eye(3) - 0.5 * cross + k * cross @ cross) @ motion[:3, 3]
    return np.concatenate([linear, turn]) / seconds


def _twist_covariance(old: StampedPose, new: StampedPose, seconds: float) -> np.ndarray | None:
    """Covariance of the difference of two poses with independent errors, in the child frame."""
    if old.covariance is None or new.covariance is None:
        return None
    child_from_world = np.kron(np.eye(2), new.world_from_base[:3, :3].T)
    total = (old.covariance + new.covariance) / seconds**2
    return child_from_world @ total @ child_from_world.T


def _covariance(types: MessageTypes, covariance: np.ndarray | None) -> Any:
    return types.doubles(np.eye(6) * UNKNOWN_VARIANCE if covariance is None else covariance)


def _matrix(translation: Any, rotation: Any) -> np.ndarray:
    return transform(
        rotation_from_quaternion(np.array([rotation.x, rotation.y, rotation.z, rotation.w])),
        np.array([translation.x, translation.y, translation.z]),
    )


def _vector(types: MessageTypes, xyz: np.ndarray) -> Any:
    x, y, z = (float(value) for value in xyz)
    return types.message('geometry_msgs/msg/Vector3')(x=x, y=y, z=z)


def _quaternion(types: MessageTypes, pose: np.ndarray) -> Any:
    x, y, z, w = (float(value) for value in quaternion_from_rotation(pose[:3, :3]))
    return types.message('geometry_msgs/msg/Quaternion')(x=x, y=y, z=z, w=w)


def _pose(types: MessageTypes, pose: np.ndarray) -> Any:
    x, y, z = (float(value) for value in pose[:3, 3])
    return types.message('geometry_msgs/msg/Pose')(
        position=types.message('geometry_msgs/msg/Point')(x=x, y=y, z=z),
        orientation=_quaternion(types, pose),
    )

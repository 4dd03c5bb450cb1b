"""A SceneUpdate as messages: every topic of design section 4 but TF, path and diagnostics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import time
from typing import Any

from fourd_perception.engine.clouds import camera_cloud, fused_clouds
from fourd_perception.engine.scene_update import CameraUpdate, Output, SceneUpdate
from fourd_perception.wire.camera_outputs import PACK
from fourd_perception.wire.clouds import cloud_message
from fourd_perception.wire.message_types import MessageTypes
from fourd_perception.wire.settings import WireSettings
from fourd_perception.wire.topics import CAMERA_TOPICS, RIG_TOPICS
from fourd_perception.wire.transforms import odometry_message, StampedPose

FUSED = frozenset({Output.POINTS, Output.POINTS_STATIC, Output.POINTS_DYNAMIC})


@dataclass(frozen=True, eq=False)
class Outgoing:
    """One message and where it goes (relative name, no prefix)."""

    topic: str
    type_name: str
    message: Any


def scene_messages(
    update: SceneUpdate,
    wanted: frozenset[Output],
    settings: WireSettings,
    types: MessageTypes,
    seconds: dict[str, float],
    previous: StampedPose | None = None,
) -> Iterator[Outgoing]:
    """Messages of what is wanted and known, made one at a time as the caller asks for them.

    seconds:  time spent is added under 'clouds' (computing points) and 'pack' (all the rest)
    previous: pose of the update before, for the twist of `odometry`

    A camera's messages carry its own image stamp (flow the older image's), rig-wide ones the
    reference's. Whatever the update does not know is silent.
    """
    for name, camera in update.cameras.items():
        for output in CAMERA_TOPICS:
            if output not in wanted:
                continue
            messages = _camera_messages(camera, output, settings, types, seconds)
            for template, type_name in CAMERA_TOPICS[output].items():
                with _clock(seconds, 'pack'):
                    message = next(messages, None)
                if message is not None:
                    yield Outgoing(template.format(camera=name), type_name, message)
    yield from _fused_messages(update, wanted & FUSED, settings, types, seconds)
    if Output.ODOMETRY in wanted and (pose := stamped_pose(update)) is not None:
        with _clock(seconds, 'pack'):
            child = body_frame(update, settings)
            message = odometry_message(types, settings.world_frame, child, pose, previous)
        yield _rig_wide(Output.ODOMETRY, message)


def stamped_pose(update: SceneUpdate) -> StampedPose | None:
    """Pose of the base (or reference camera): `previous` of the next `scene_messages`."""
    if update.world_from_base is None:
        return None
    return StampedPose(update.slice.stamp, update.world_from_base, update.covariance)


def body_frame(update: SceneUpdate, settings: WireSettings) -> str:
    """Name of the frame that `world_from_base` poses: base, else the reference camera's."""
    if update.rig_known:
        return settings.base_frame
    return update.cameras[update.slice.reference].input.frame_id


def _camera_messages(
    camera: CameraUpdate,
    output: Output,
    settings: WireSettings,
    types: MessageTypes,
    seconds: dict[str, float],
) -> Iterator[Any]:
    """Messages of one output of one camera, parallel to its topics; nothing when not known."""
    if output is not Output.CAMERA_POINTS:
        yield from PACK[output](camera, settings, types)
    elif camera.depth is not None and camera.colour is not None:
        with _clock(seconds, 'clouds', instead_of='pack'):
            cloud = camera_cloud(camera)
        yield cloud_message(types, camera.frame.stamp, camera.input.frame_id, cloud)


def _fused_messages(
    update: SceneUpdate,
    kinds: frozenset[Output],
    settings: WireSettings,
    types: MessageTypes,
    seconds: dict[str, float],
) -> Iterator[Outgoing]:
    known = update.world_from_base is not None
    if not kinds or not known or all(c.depth is None for c in update.cameras.values()):
        return
    frame = settings.cloud_frame if update.rig_known else 'world'
    with _clock(seconds, 'clouds'):
        clouds = fused_clouds(update, frame, settings.cloud_voxel, kinds)
    frame_id = settings.base_frame if frame == 'base' else settings.world_frame
    for output, cloud in clouds.items():
        with _clock(seconds, 'pack'):
            message = cloud_message(types, update.slice.stamp, frame_id, cloud)
        yield _rig_wide(output, message)


def _rig_wide(output: Output, message: Any) -> Outgoing:
    ((topic, type_name),) = RIG_TOPICS[output].items()
    return Outgoing(topic, type_name, message)


@contextmanager
def _clock(seconds: dict[str, float], stage: str, instead_of: str = '') -> Iterator[None]:
    """Add the time spent inside to a stage, and take it from the stage around it, if any."""
    started = time.perf_counter()
    yield
    spent = time.perf_counter() - started
    seconds[stage] = seconds.get(stage, 0.0) + spent
    if instead_of:
        seconds[instead_of] = seconds.get(instead_of, 0.0) - spent

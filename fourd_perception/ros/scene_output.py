"""An update of the scene goes out: topics, path and TF; on the inference thread."""

from __future__ import annotations

from collections import deque
import time
from typing import Any

from fourd_perception.engine.scene_update import Output, SceneUpdate
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.ros.outputs import Outputs
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.transforms import Transforms
from fourd_perception.wire.scene import scene_messages, stamped_pose
from fourd_perception.wire.settings import WireSettings
from fourd_perception.wire.transforms import path_message, pose_message, StampedPose, tf_message


def wire_settings(settings: Settings) -> WireSettings:
    """How the node's parameters want a scene written down."""
    return WireSettings(
        world_frame=settings.fixed_frame or settings.world_frame,
        base_frame=settings.base_frame,
        cloud_frame=settings.clouds_frame,
        cloud_voxel=settings.clouds_voxel,
        dynamic_value=settings.dynamic_value,
        depth_encoding=settings.depth_encoding,
    )


class SceneOutput:
    """Packs and publishes what is wanted of each update.

    wire:   may be replaced at any time
    silent: what was wanted of the newest update and could not be given
    """

    def __init__(self, settings: Settings, outputs: Outputs, transforms: Transforms) -> None:
        self.wire = wire_settings(settings)
        self._outputs = outputs
        self._transforms = transforms
        self._types = RclpyTypes()
        self._path: deque[Any] = deque(maxlen=settings.path_length)
        self._previous: StampedPose | None = None
        self.silent: frozenset[Output] = frozenset()

    def wanted(self) -> frozenset[Output]:
        """What somebody subscribes to, and may get."""
        plan = self._transforms.plan
        silent = plan is not None and plan.mode == 'none'
        return self._outputs.wanted() - ({Output.TF} if silent else frozenset())

    def publish(
        self, update: SceneUpdate, wanted: frozenset[Output], seconds: dict[str, float]
    ) -> None:
        """Send off everything wanted of an update; seconds per stage are added."""
        sent = set()
        if Output.TF in wanted and (edges := self._transforms.edges(update)):
            self._outputs.broadcast(tf_message(self._types, edges))
            sent.add(Output.TF)
        if update.world_reset:
            self._path.clear()
            self._previous = None
        messages = scene_messages(update, wanted, self.wire, self._types, seconds, self._previous)
        for outgoing in messages:
            sent.add(self._send(outgoing.topic, outgoing.message, seconds))
        pose = stamped_pose(update)
        if pose is not None:
            self._previous = pose
            self._path.append(self._pose(pose))
            if Output.PATH in wanted:
                message = path_message(self._types, pose.stamp, self.wire.world_frame, self._path)
                sent.add(self._send('path', message, seconds))
        self.silent = wanted - sent

    def restart(self) -> None:
        """Begin a new path, in a new world."""
        self._path.clear()
        self._previous = None
        self._transforms.restart()

    def _pose(self, pose: StampedPose) -> Any:
        return pose_message(self._types, pose.stamp, self.wire.world_frame, pose.world_from_base)

    def _send(self, topic: str, message: Any, seconds: dict[str, float]) -> Output:
        started = time.perf_counter()
        output = self._outputs.send(topic, message)
        seconds['publish'] = seconds.get('publish', 0.0) + time.perf_counter() - started
        return output

"""The rig as TF tells it, and the transforms that the node broadcasts; on the inference thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
import time

from fourd_perception.engine.scene_update import SceneUpdate
from fourd_perception.geometry.cameras import CameraModel, Rig
from fourd_perception.geometry.transform_tree import TransformError
from fourd_perception.grid.frame import TimeSlice
from fourd_perception.ros.calibration import Calibration
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.tf_buffer import TfBuffer
from fourd_perception.ros.tf_plan import conflict, plan_tf, tf_edges, TfPlan
from fourd_perception.wire.transforms import Edge
import numpy as np

LAG = 0.1  # seconds that a moving camera's transform may come after its image


class Transforms:
    """Extrinsics in, broadcasts out.

    planned: called with every new plan
    missing: why the pose of a camera in the rig is unknown, in plain words; empty when none is
    lagging: why the newest update was not broadcast; empty when it was
    plan:    what is broadcast; None until it is decided
    """

    def __init__(
        self,
        settings: Settings,
        calibrations: Mapping[str, Calibration],
        buffer: TfBuffer,
        planned: Callable[[TfPlan], None],
    ) -> None:
        silent = None if settings.broadcasts else plan_tf(settings, {}, buffer.tree)
        self.plan: TfPlan | None = silent
        self.missing = ''
        self.lagging = ''
        self._settings = settings
        self._calibrations = calibrations
        self._buffer = buffer
        self._planned = planned
        self._first_slice: float | None = None
        self._silent = silent
        self._sent: dict[str, int] = {}

    def restart(self) -> None:
        """Wait for TF again, then decide anew what is broadcast."""
        self.plan, self._first_slice, self.lagging = self._silent, None, ''
        self._sent.clear()

    def rig(self, time_slice: TimeSlice) -> Rig | None:
        """All cameras seen so far, at one instant; None while `tf.wait` still runs for them."""
        if self._first_slice is None:
            self._first_slice = time.monotonic()
        cameras, self.missing = {}, ''
        for name, calibration in self._calibrations.items():
            if calibration.camera is not None:
                frame = time_slice.frame(name)
                stamp = time_slice.stamp if frame is None else frame.stamp
                cameras[name] = self._posed(calibration.camera, stamp)
        if self.missing and self._waiting():
            return None
        return Rig(cameras, fixed=bool(self._settings.fixed_frame))

    def edges(self, update: SceneUpdate) -> list[Edge]:
        """What to broadcast of an update: nothing twice, nothing that belongs to others."""
        self._replan(update)
        if self.plan is None:
            return []
        try:
            edges = tf_edges(self.plan, update, self._settings, self._buffer.tree)
        except TransformError as error:
            self.lagging = str(error)
            return []
        self.lagging = ''
        # tf2 warns of a stamp that it knows already.
        fresh = [edge for edge in edges if edge.stamp > self._sent.get(edge.child, -1)]
        self._sent |= {edge.child: edge.stamp for edge in fresh}
        self._buffer.sending(fresh)
        return fresh

    def _replan(self, update: SceneUpdate) -> None:
        if self.plan is None:
            if self._settings.tf_mode == 'auto' and self._waiting():
                return
            frames = {name: camera.input.frame_id for name, camera in update.cameras.items()}
            new = plan_tf(self._settings, frames, self._buffer.tree)
        else:
            stopped = conflict(self.plan, self._settings, self._buffer.tree)
            if stopped is None:
                return
            new = stopped
        self.plan = new
        self._planned(new)

    def _waiting(self) -> bool:
        started = self._first_slice
        return started is not None and time.monotonic() - started < self._settings.tf_wait

    def _posed(self, camera: CameraModel, stamp: int) -> CameraModel:
        target = self._settings.fixed_frame or self._settings.base_frame
        try:
            pose = self._lookup(target, camera.frame_id, stamp)
        except TransformError as error:
            self.missing = f'{camera.name}: {error}'
            return camera
        return replace(camera, base_from_camera=pose)

    def _lookup(self, target: str, source: str, stamp: int) -> np.ndarray:
        """The transform at `stamp`; one that is connected is given a moment to arrive."""
        tree = self._buffer.tree
        tree.lookup(target, source, None)
        deadline = time.monotonic() + LAG
        while True:
            try:
                return tree.lookup(target, source, stamp)
            except TransformError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LAG / 20)

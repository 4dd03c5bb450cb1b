"""The engine: one time slice after the other in, one metric SceneUpdate out for each."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace

from fourd_perception.engine.camera_outputs import View
from fourd_perception.engine.camera_update import camera_update, IN_METRES
from fourd_perception.engine.flow_sightings import with_sightings
from fourd_perception.engine.ignore_masks import IgnoreMasks
from fourd_perception.engine.intake import Decode, Intake, Taken, UnusableSlice
from fourd_perception.engine.network_size import lay_out
from fourd_perception.engine.scene_update import CameraUpdate, Output, SceneUpdate
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.engine.timings import StageTimes
from fourd_perception.engine.window_prediction import focal_warnings, window_prediction
from fourd_perception.engine.world import World, WorldPoses
from fourd_perception.geometry.cameras import Rig
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.model.prediction import GridTensors, Prediction, Predictor
import numpy as np
import torch

__all__ = ['Engine', 'UnusableSlice']


class Engine:
    """Keeps the window, runs the predictor on it, and puts its answer into one metric world.

    predictor: reads the grid, on `settings.device`
    decode:    Frame -> uint8 [H, W, 3] RGB; raises ValueError with the reason when it cannot.
               Consecutive windows share what was made of a frame.
    ignored:   by camera, bool [H, W] at the size of its images: pixels that show the robot itself.
               They are unknown in labels, invalid in depth, clouds and flow, and fix no scale.

    Belongs to one thread.
    """

    def __init__(
        self,
        predictor: Predictor,
        settings: EngineSettings,
        decode: Decode,
        ignored: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._predictor = predictor
        self._settings = settings
        self._ignored = IgnoreMasks(ignored or {})
        self._intake = Intake(settings, predictor.info.patch, self._ignored.checking(decode))
        self._world = World(settings)
        suits = predictor.info.pose if settings.pose == 'auto' else settings.pose
        self._solves = suits == 'solved'

    @property
    def settings(self) -> EngineSettings:
        """What the engine was told."""
        return self._settings

    @property
    def window_fill(self) -> int:
        """Number of slices in the window."""
        return self._intake.window.fill

    def admits(self, time_slice: TimeSlice) -> bool:
        """Whether the slice is as far from the newest as `window_min_interval` asks."""
        return self._intake.window.admits(time_slice)

    def reset(self) -> None:
        """Forget window, world and scale; the next slice begins anew."""
        self._intake.window.clear()
        self._world.clear()

    def step(self, time_slice: TimeSlice, rig: Rig, wanted: frozenset[Output]) -> SceneUpdate:
        """Infer one slice.

        rig:    what is known of the cameras at the time of this slice
        wanted: what the update is to hold; the rest stays None. Poses always come.

        Without a metric scale, unless it is allowed, whatever is in metres stays None too (poses
        in a fixed frame are TF's own and stay). Frames that cannot be read are left out and
        listed in `faults`; raises UnusableSlice when none is left, and MemoryError when the
        network does not fit into the GPU. After an error the engine is as it was before: window
        and world hold no slice that had no update.
        """
        world = copy(self._world)
        with self._intake.undone_on_error():
            update = self._step(time_slice, rig, wanted, world)
        self._world = world
        return update

    def _step(
        self, time_slice: TimeSlice, rig: Rig, wanted: frozenset[Output], world: World
    ) -> SceneUpdate:
        times = StageTimes()
        taken = self._intake.take(time_slice, rig, times)
        taken = replace(taken, tensors=self._ignored.cut(taken.tensors))
        with times.stage('predict'):
            prediction = self._predict(taken.tensors)
        with times.stage('world'):
            window = window_prediction(
                taken.tensors, prediction, taken.rigs, taken.slice.reference
            )
            if self._solves and not window.fixed:
                window = with_sightings(window, taken.tensors, prediction)
            poses = world.extend(window)
            factor = window.focal_factor * poses.scale.value
        poses_known = poses.scale.metric or self._settings.allow_unscaled or poses.fixed
        return SceneUpdate(
            slice=taken.slice,
            cameras={
                frame.camera: self._camera(frame, taken, prediction, poses, factor, wanted, times)
                for frame in taken.slice
            },
            scale=poses.scale,
            world_from_base=poses.world_from_base if poses_known else None,
            covariance=poses.covariance if poses_known else None,
            pose_source=poses.source,
            rig_known=poses.rig_known,
            window_fill=self.window_fill,
            world_reset=poses.reset,
            warnings=tuple(focal_warnings(taken.tensors, prediction, window.focal_factor)),
            faults=taken.faults,
            timings=times,
        )

    def _predict(self, tensors: GridTensors) -> Prediction:
        images = tensors.images
        try:
            prediction = self._predictor.predict(tensors)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
        except torch.cuda.OutOfMemoryError as error:
            views, times, _, height, width = images.shape
            raise MemoryError(
                f'the memory of {images.device} is too small for {views} cameras x {times} slices '
                f'of {width}x{height} px; set a smaller pixel_budget '
                f'({self._settings.pixel_budget}) or window.length '
                f'({self._settings.window_length})'
            ) from error
        return prediction

    def _camera(
        self,
        frame: Frame,
        taken: Taken,
        prediction: Prediction,
        poses: WorldPoses,
        factor: np.ndarray,
        wanted: frozenset[Output],
        times: StageTimes,
    ) -> CameraUpdate:
        """The update of one camera, without what its scale or calibration does not allow."""
        camera = taken.cameras[frame.camera]
        index = taken.grid.cameras.index(frame.camera)
        unscaled = self._settings.allow_unscaled
        if not unscaled and not (poses.scale.metric and camera.calibrated):
            wanted = wanted - IN_METRES
        seen = camera
        if unscaled and not camera.calibrated:
            pixel_map = taken.tensors.pixel_maps[index].inverse()
            intrinsics = pixel_map.intrinsics(prediction.intrinsics[index, -1])
            seen = replace(camera, intrinsics=intrinsics)
        older = None if len(taken.grid.slices) < 2 else taken.grid.frame(index, -2)
        height, width = taken.tensors.valid.shape[1:]
        view = View(
            index=index,
            camera=seen,
            layout=lay_out((camera.width, camera.height), (width, height)),
            valid=taken.tensors.valid[index],
            depth_factor=factor[index],
            older_stamp=None if older is None else older.stamp,
            newer_stamp=frame.stamp,
        )
        pose = poses.world_from_camera[index, -1]
        known = np.isfinite(pose).all() and (poses.scale.metric or unscaled or poses.fixed)
        return camera_update(
            frame,
            camera,
            view,
            prediction,
            taken.pictures[frame.camera],
            pose if known else None,
            self._settings.output_size,
            wanted,
            times,
        )

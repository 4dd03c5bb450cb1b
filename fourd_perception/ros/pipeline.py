"""Everything that `configure` makes: from subscriptions to publishers, around one engine."""

from __future__ import annotations

from collections.abc import Callable
import time
import traceback

from fourd_perception.engine.engine import Engine
from fourd_perception.engine.ignore_masks import read_mask
from fourd_perception.engine.scene_update import Output, SceneUpdate
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.geometry.cameras import Rig
from fourd_perception.grid.camera_track import SyncSettings
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.synchroniser import SyncEvent
from fourd_perception.ros.calibration import Calibration, PATIENCE
from fourd_perception.ros.inference import InferenceThread
from fourd_perception.ros.inputs import Inputs
from fourd_perception.ros.intake import Intake
from fourd_perception.ros.outputs import Outputs
from fourd_perception.ros.scene_output import SceneOutput, wire_settings
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.tf_buffer import TfBuffer
from fourd_perception.ros.tf_plan import TfPlan
from fourd_perception.ros.transforms import Transforms
from fourd_perception.ros.warm_up import choose_device, ready_predictor, use_threads
from fourd_perception.wire.images import decode_image
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.timer import Timer

# Frames close most slices as they come; this is for cameras that fall silent. rclpy takes more
# than a millisecond for each round of its timers.
POLL_SECONDS = 0.05


def engine_settings(settings: Settings, device: str) -> EngineSettings:
    """What the engine is told."""
    return EngineSettings(
        window_length=settings.window_length,
        window_min_interval=settings.window_min_interval,
        window_max_gap=settings.window_max_gap,
        pixel_budget=settings.pixel_budget,
        output_size=settings.size,
        allow_unscaled=settings.allow_unscaled,
        pose=settings.pose,
        device=device,
    )


def sync_settings(settings: Settings) -> SyncSettings:
    """What the synchroniser is told."""
    return SyncSettings(
        slop=settings.sync_slop,
        timeout=settings.sync_timeout,
        camera_timeout=settings.camera_timeout,
        jump_threshold=settings.jump_threshold,
        min_cameras=settings.min_cameras,
    )


def ignore_masks(settings: Settings) -> dict[str, np.ndarray]:
    """Masks [H, W] of the cameras that have one. Raises ValueError where there is none at all."""
    if not settings.ignore_mask:
        return {}
    paths = {camera: settings.ignore_mask_of(camera) for camera in settings.cameras}
    masks = {camera: read_mask(path) for camera, path in paths.items() if path.is_file()}
    if not masks:
        raise ValueError(
            f'ignore_mask {settings.ignore_mask!r}: there is none of '
            f'{", ".join(map(str, paths.values()))}; give at least one camera its PNG'
        )
    return masks


class Pipeline:
    """The node between `configure` and `cleanup`; active between `activate` and `deactivate`.

    Raises what keeps the node from working, with the remedy, and leaves no publisher behind.
    """

    def __init__(self, node: LifecycleNode, settings: Settings) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        use_threads(settings.cpu_threads)
        self.predictor = ready_predictor(settings, self.device)
        ignored = ignore_masks(settings)
        self.engine = Engine(
            self.predictor, engine_settings(settings, self.device), _decode, ignored
        )
        self.buffer = TfBuffer()
        self.calibrations = {
            camera: Calibration(camera, settings.camera_info_topic_of(camera))
            for camera in settings.cameras
        }
        self.transforms = Transforms(settings, self.calibrations, self.buffer, self._planned)
        self.intake = Intake(
            self.calibrations, sync_settings(settings), _clock_of(node), self._heard, self._jumped
        )
        self.inputs: Inputs | None = None
        self.inference: InferenceThread | None = None
        self.foreign = ''
        self.refused: dict[str, str] = {}
        self.last_event: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._active_since = 0.0
        self._polls: Timer | None = None
        self._node = node
        self._log = node.get_logger()
        if ignored:
            self._log.info(f'ignore_mask: found for {", ".join(ignored)}')
        self.outputs = Outputs(node, settings)
        self.scene = SceneOutput(settings, self.outputs, self.transforms)

    def activate(self) -> None:
        """Subscribe and begin to infer, in a new world: nobody knows what happened meanwhile."""
        self.engine.reset()
        self.scene.restart()
        self.inputs = Inputs(self._node, self.settings, self.intake, self.buffer)
        self.inference = InferenceThread(self.engine, self.intake, self, self.settings.max_rate)
        self._active_since = time.monotonic()
        self._polls = self._node.create_timer(
            POLL_SECONDS, self.intake.poll, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self.watch()
        self.inference.start()

    def deactivate(self, timeout: float | None = None) -> bool:
        """Unsubscribe and end inference; whether the thread has ended, in `timeout` seconds."""
        if self.inputs is not None:
            self.inputs.destroy()
        if self._polls is not None:
            self._node.destroy_timer(self._polls)
        ended = self.inference is None or self.inference.stop(timeout)
        self.intake.drain()
        self.inputs, self.inference, self._polls = None, None, None
        return ended

    def destroy(self) -> None:
        """Take the publishers off the graph; the weights go with the last reference."""
        self.outputs.destroy()

    def watch(self) -> None:
        """Look at the graph: who publishes what we read, who reads or publishes what we write."""
        if self.inputs is not None:
            self.inputs.check()
            self._tell_of_cameras(self.inputs)
        self.outputs.look()
        foreign = self.outputs.foreign_publisher()
        if foreign and foreign != self.foreign:
            self._log.error(foreign)
        self.foreign = foreign

    def apply(self, settings: Settings) -> None:
        """Take over changed live parameters."""
        if sync_settings(settings) != sync_settings(self.settings):
            self.intake.renew(sync_settings(settings))
        self.settings = settings
        self.scene.wire = wire_settings(settings)
        if self.inference is not None:
            self.inference.max_rate = settings.max_rate

    def reset(self) -> None:
        """Begin anew: window, world, scale, path; counters and transforms stay."""
        self.intake.restart()

    def jump(self, reason: str, back: int = 0) -> None:
        """Begin anew because time has jumped, `back` nanoseconds where it went back."""
        if back:
            self.intake.rewind(back)
        else:
            self.intake.restart()
        self._jumped(reason)

    # What the inference thread asks for; see `inference.Stage`.

    def wanted(self) -> frozenset[Output]:
        """What somebody subscribes to."""
        return self.scene.wanted()

    def rig(self, time_slice: TimeSlice) -> Rig | None:
        """The cameras at one instant; None while TF is still given time to tell of them."""
        return self.transforms.rig(time_slice)

    def publish(
        self, update: SceneUpdate, wanted: frozenset[Output], seconds: dict[str, float]
    ) -> None:
        """Send an update off; seconds per stage are added."""
        if update.world_reset:
            self._log.warning(f'the world begins anew: {update.world_reset}')
        if update.warnings:  # in one line, for rclpy throttles by place and not by text
            self._log.warning('; '.join(update.warnings), throttle_duration_sec=30.0)
        self.scene.publish(update, wanted, seconds)

    def restart(self) -> None:
        """Forget path and poses: a new epoch begins."""
        self.scene.restart()

    def refuse(self, frame: Frame, reason: str) -> None:
        """Tell of a frame that could not be read, once per reason."""
        if self.refused.get(frame.camera) != reason:
            self._log.error(f'{frame.camera}: image not used: {reason}')
        self.refused[frame.camera] = reason

    def fail(self, error: Exception) -> None:
        """Tell of an error that nobody expected; it may come with every slice."""
        text = ''.join(traceback.format_exception(error))
        self._log.error(f'a slice is lost: {text}', throttle_duration_sec=10.0)

    def _tell_of_cameras(self, inputs: Inputs) -> None:
        """Log why a camera cannot be used, once per reason; publishers get time to appear."""
        patient = time.monotonic() - self._active_since < PATIENCE
        for camera in self.settings.cameras:
            absent = '' if patient else inputs.images[camera].problem
            problem = absent or self.calibrations[camera].fault
            if problem and problem != self._told.get(camera):
                self._log.warning(f'{camera}: {problem}')
            self._told[camera] = problem

    def _planned(self, plan: TfPlan) -> None:
        if plan.error:
            self._log.error(f'no TF is broadcast: {plan.reason}')
        else:
            self._log.info(f'TF: {plan.mode}: {plan.reason}')

    def _heard(self, event: SyncEvent) -> None:
        self.last_event[event.camera] = event.text
        # Two lines, for rclpy wants one severity at one place.
        if event.kind == 'alive':
            self._log.info(event.text)
        else:
            self._log.warning(event.text)

    def _jumped(self, reason: str) -> None:
        self._log.warning(f'time has jumped, everything begins anew: {reason}')
        self.buffer.restart()


def _decode(frame: Frame) -> np.ndarray:
    return decode_image(frame.payload)


def _clock_of(node: LifecycleNode) -> Callable[[], int]:
    clock = node.get_clock()
    return lambda: clock.now().nanoseconds

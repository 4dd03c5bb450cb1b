"""One continuous metric world out of windows that each have a gauge of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import math

from fourd_perception.engine.depth_statistics import depth_ratio
from fourd_perception.engine.rig_fit import base_poses, fit_rig, refusal, RigFit
from fourd_perception.engine.scene_update import PoseSource, Scale
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.engine.solved_motion import ChainedPoses, with_solved_motions
from fourd_perception.engine.window_prediction import CellKey, WindowPrediction
from fourd_perception.geometry.alignment import align_poses
from fourd_perception.geometry.poses import invert
import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class WorldPoses:
    """One window in the continuous world.

    scale:             metric scale and where it comes from
    world_from_camera: float64 [V, T, 4, 4], NaN where a cell is missing
    world_from_base:   float64 [4, 4] at the newest reference stamp: of the base when `rig_known`,
                       else of the reference camera; None when the network gave no pose
    covariance:        float64 [6, 6] of it, None with it
    source:            where its newest motion comes from
    rig_known:         whether `world_from_base` is the base's; in a fixed frame there is no base
    fixed:             whether the world is a frame in which the cameras stand still
    reset:             why the world began anew here; empty when it goes on
    """

    scale: Scale
    world_from_camera: np.ndarray
    world_from_base: np.ndarray | None
    covariance: np.ndarray | None
    source: PoseSource
    rig_known: bool
    fixed: bool
    reset: str


@dataclass(frozen=True, eq=False)
class _Link:
    """What one window leaves to the next: poses and depths in world units, scale, covariance."""

    poses: Mapping[CellKey, np.ndarray]
    depths: Mapping[CellKey, torch.Tensor]
    scale: Scale
    gathered: np.ndarray


class World:
    """Chains windows over the cells that they share, in float64.

    Scale comes from the known rig where that fixes it, else from the window before through the
    depths of shared cells. Without a metric scale lengths are in the unit of the first window's
    gauge, so that they stay continuous. The world begins at the base (the reference camera where
    the rig is unknown) of the first slice, and anew when nothing is shared with the window before
    or when lengths become metric. With a rig that stands still it is the fixed frame, for ever.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._link: _Link | None = None

    def clear(self) -> None:
        """Forget world and scale."""
        self._link = None

    def extend(self, window: WindowPrediction) -> WorldPoses:
        """Put one more window into the world."""
        fit = _fit(window) if len(window.posed) else None
        scale = self._scale(window, fit)
        metric_from_camera, metric_from_base = _in_metres(window, fit, scale.value)
        reference = _newest_reference(window, metric_from_camera)
        origin = reference if metric_from_base is None else metric_from_base
        rig_known = metric_from_base is not None and not window.fixed
        world_from_metric, gathered, reset = self._place(
            window, metric_from_camera, scale, origin, metric_from_base is not None
        )
        # The base of a rig that stands still is the world itself: what can be told is a camera.
        body = reference if window.fixed else origin
        poses = ChainedPoses(
            world_from_metric @ metric_from_camera,
            None if body is None else world_from_metric @ body,
            gathered,
            gathered + _fit_covariance(window, fit, scale.value),
            PoseSource('fixed') if window.fixed else PoseSource('head', window.unsolved),
        )
        if window.sightings is not None:
            if self._link is None or reset:
                poses = replace(poses, source=PoseSource('head', 'the world begins here'))
            else:
                poses = with_solved_motions(
                    window, poses, self._link.poses, self._link.gathered, scale, rig_known
                )
        if window.keys:  # a window without a pose leaves the chain as it is
            self._link = _Link(
                dict(zip(window.keys, poses.world_from_camera)),
                dict(zip(window.keys, window.depth * scale.value)),
                scale,
                poses.gathered,
            )
        grid = np.full((*window.shape, 4, 4), np.nan)
        grid[window.view, window.time] = poses.world_from_camera
        return WorldPoses(
            scale=scale,
            world_from_camera=grid,
            world_from_base=poses.world_from_base,
            covariance=None if body is None else poses.covariance,
            source=poses.source,
            rig_known=rig_known,
            fixed=window.fixed,
            reset=reset,
        )

    def _scale(self, window: WindowPrediction, fit: RigFit | None) -> Scale:
        reason = self._no_rig_scale(window, fit)
        if fit is not None and not reason:
            return Scale(fit.scale, 'rig', fit.spread)
        ratio = self._depth_ratio(window)
        if ratio is None or self._link is None:
            return Scale(1.0, 'none', math.nan, reason)
        before = self._link.scale
        if not before.metric:
            return Scale(ratio[0], 'none', math.nan, reason)
        return Scale(ratio[0], 'chain', math.hypot(before.spread, ratio[1]), reason)

    def _no_rig_scale(self, window: WindowPrediction, fit: RigFit | None) -> str:
        if fit is None:
            return 'no camera has a known place on the robot (or in the fixed frame): TF is silent'
        median = float(window.depth[window.posed].nanmedian())
        return refusal(
            fit, median, self._settings.max_scale_spread, self._settings.min_baseline_ratio
        )

    def _depth_ratio(self, window: WindowPrediction) -> tuple[float, float] | None:
        """World units per gauge unit, and its spread, from cells shared with the window before."""
        if self._link is None:
            return None
        before = self._link.depths
        shape = window.depth.shape[1:]
        shared = [i for i, k in enumerate(window.keys) if k in before and before[k].shape == shape]
        if not shared:
            return None
        then = torch.stack([before[window.keys[i]] for i in shared])
        return depth_ratio(then, window.depth[shared], window.confidence[shared])

    def _place(
        self,
        window: WindowPrediction,
        metric_from_camera: np.ndarray,
        scale: Scale,
        origin: np.ndarray | None,
        rig_known: bool,
    ) -> tuple[np.ndarray, np.ndarray, str]:
        """world_from_metric [4, 4], covariance that the chain gathered, the reset's reason."""
        if window.fixed and rig_known and origin is not None:
            return invert(origin), np.zeros((6, 6)), ''
        link = self._link
        why = ''
        if link is not None:
            shared = [i for i, key in enumerate(window.keys) if key in link.poses]
            if not shared:
                why = 'no frame is shared with the window before: a gap, or every camera changed'
            elif scale.metric and not link.scale.metric:
                why = f'lengths are metres from here on (scale from {scale.source})'
            elif not scale.metric and link.scale.metric:
                why = f'the metric scale is lost: {scale.reason}'
            else:
                before = np.stack([link.poses[window.keys[i]] for i in shared])
                aligned = align_poses(before, metric_from_camera[shared])
                step = _diagonal(aligned.position_variance, aligned.angle_variance, aligned.count)
                return aligned.target_from_source, link.gathered + step, ''
        return np.eye(4) if origin is None else invert(origin), np.zeros((6, 6)), why


def _fit(window: WindowPrediction) -> RigFit:
    time = window.time[window.posed]
    group = np.unique(np.zeros_like(time) if window.fixed else time, return_inverse=True)[1]
    return fit_rig(
        window.gauge_from_camera[window.posed], window.base_from_camera[window.posed], group
    )


def _in_metres(
    window: WindowPrediction, fit: RigFit | None, scale: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Poses of all cells, still in the gauge's own frame: of the cameras, and of the newest base.

    Cameras on the rig get the poses that the rig as a whole has, so that it keeps its shape. The
    base is None when no camera on the rig is in the newest slice.
    """
    metric_from_camera = window.gauge_from_camera.copy()
    metric_from_camera[:, :3, 3] *= scale
    if fit is None:
        return metric_from_camera, None
    posed = window.posed
    known = window.base_from_camera[posed]
    bases = base_poses(fit, window.gauge_from_camera[posed], known, scale)
    metric_from_camera[posed] = bases[fit.group] @ known
    if window.fixed:
        return metric_from_camera, bases[0]
    newest = fit.group[window.time[posed] == window.newest]
    return metric_from_camera, bases[newest[0]] if len(newest) else None


def _newest_reference(
    window: WindowPrediction, metric_from_camera: np.ndarray
) -> np.ndarray | None:
    at = (window.time == window.newest) & (window.view == window.reference)
    return metric_from_camera[at][0] if at.any() else None


def _fit_covariance(window: WindowPrediction, fit: RigFit | None, scale: float) -> np.ndarray:
    """float64 [6, 6]: how far the newest predicted poses are from the shape of the rig."""
    if fit is None:
        return np.zeros((6, 6))
    count = max(int((window.time[window.posed] == window.newest).sum()), 1)
    return _diagonal(fit.position_variance * scale**2, fit.angle_variance, count)


def _diagonal(position_variance: float, angle_variance: float, count: int) -> np.ndarray:
    """float64 [6, 6] of the mean of `count` poses."""
    return np.diag(np.repeat([position_variance, angle_variance], 3) / count)

"""The exact geometry of a synthetic recording behind the interface of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.clips import DYNAMIC, IGNORED
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.poses import invert
from fourd_perception.model.prediction import GridTensors, Prediction, PredictorInfo
from fourd_perception.synthetic.pinhole import camera_rays, pixel_grid, pixels_of
from fourd_perception.synthetic.recording import SyntheticRecording
import numpy as np
import torch

_Key = tuple[str, int, int, bytes, int]
_LOGIT = 6.0
_SMALLEST_SCALE, _LARGEST_SCALE = 0.2, 5.0


class _Cell:
    """What one camera sees at one stamp, on the network's pixels; kept while in the window."""

    def __init__(self, recording: SyntheticRecording, camera: CameraModel, stamp: int) -> None:
        self.camera = camera
        self.stamp = stamp
        self.shape = camera.height, camera.width
        self.pose = recording.world_from_camera(camera.name, stamp)
        self.hits = recording.hits(camera, stamp)
        self._recording = recording
        self._flows: dict[int, np.ndarray] = {}
        self._displacements: dict[int, np.ndarray] = {}

    def flow(self, other: int) -> np.ndarray:
        """Flow [2, H, W] to the same camera's image at another stamp."""
        if other not in self._flows:
            targets = self._recording.targets(self.camera, self.hits, self.stamp, other)
            flow = pixels_of(self.camera, targets[:2]) - pixel_grid(self.camera)
            self._flows[other] = flow.reshape(2, *self.shape)
        return self._flows[other]

    def own_motion(self, others: Sequence[int]) -> np.ndarray:
        """Largest own motion [H, W] in pixels to other stamps."""
        for other in others:
            if other not in self._displacements:
                self._displacements[other] = self._recording.displacements(
                    self.camera, self.hits, self.stamp, other
                )
        return np.max([self._displacements[other] for other in others], axis=0).reshape(self.shape)


class TruthPredictor:
    """Depth, poses, masks and flow of a recording, as an ideal network would answer them.

    The world is the reference cell's camera and the scale is drawn anew for every window
    (log-uniform in 0.2-5, from the seed and the window's stamps). The answer is on the network's
    pixels and rests on names, stamps and pixel maps alone. The sky has NaN depth and points,
    confidence 1; where `dynamic_label` ignores, the mask is unknown. Work is kept for as long as a
    cell stays in the window.
    """

    def __init__(self, recording: SyntheticRecording, seed: int = 0) -> None:
        self._recording = recording
        self._seed = seed
        self._cells: dict[_Key, _Cell] = {}
        self.info = PredictorInfo(
            name=f'truth:{recording.name}', patch=14, licence='Apache-2.0', mask_source='truth'
        )

    @staticmethod
    def open(directory: str | Path) -> TruthPredictor:
        """The predictor of a saved recording."""
        return TruthPredictor(SyntheticRecording.load(directory))

    def predict(self, grid: GridTensors) -> Prediction:
        """Exact values in a gauge of their own.

        Raises UnknownStamp for a frame that is not of the recording.
        """
        cells = self._gather(grid)
        v, t, _, h, w = grid.images.shape
        out = _Arrays.missing(v, t, h, w)
        scale = self._scale(grid)
        reference_from_world = invert(cells[grid.reference].pose)
        for (view, time), cell in cells.items():
            out.fill(view, time, cell, reference_from_world @ cell.pose, scale)
            others = {k: c.stamp for (row, k), c in cells.items() if row == view and k != time}
            if time + 1 in others:
                out.forward[view, time] = cell.flow(others[time + 1])
            if time - 1 in others:
                out.backward[view, time] = cell.flow(others[time - 1])
            if others:
                out.mask[view, time] = _logits(cell.own_motion(list(others.values())))
        self._cells = {_key(cell.camera, cell.stamp): cell for cell in cells.values()}
        return out.prediction(grid.images.device)

    def _gather(self, grid: GridTensors) -> dict[tuple[int, int], _Cell]:
        """The present cells by (view, time), those of the last window taken over."""
        height, width = grid.images.shape[-2:]
        cells = {}
        for view, time in np.argwhere(grid.present).tolist():
            name, stamp = grid.cameras[view], int(grid.stamps[view, time])
            self._recording.require_image(name, stamp)
            image_camera = self._recording.cameras[name]
            camera = image_camera.mapped(grid.pixel_maps[view], width, height)
            known = self._cells.get(_key(camera, stamp))
            cells[view, time] = known or _Cell(self._recording, camera, stamp)
        return cells

    def _scale(self, grid: GridTensors) -> float:
        stamps = [int(s) for s in grid.stamps[grid.present]]
        draw = np.random.default_rng([self._seed, *stamps]).uniform()
        return float(_SMALLEST_SCALE * (_LARGEST_SCALE / _SMALLEST_SCALE) ** draw)


def _key(camera: CameraModel, stamp: int) -> _Key:
    assert camera.intrinsics is not None
    return camera.name, camera.width, camera.height, camera.intrinsics.tobytes(), stamp


def _logits(own_motion: np.ndarray) -> np.ndarray:
    label = dynamic_label(own_motion)
    return np.where(label == IGNORED, np.nan, np.where(label == DYNAMIC, _LOGIT, -_LOGIT))


@dataclass(frozen=True, eq=False)
class _Arrays:
    """The fields of a `Prediction` while they are filled, NaN where nothing is known."""

    depth: np.ndarray
    confidence: np.ndarray
    points: np.ndarray
    mask: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    poses: np.ndarray
    intrinsics: np.ndarray

    @staticmethod
    def missing(v: int, t: int, h: int, w: int) -> _Arrays:
        def empty(*shape: int) -> np.ndarray:
            return np.full((v, t, *shape), np.nan, np.float32)

        return _Arrays(
            empty(h, w),
            empty(h, w),
            empty(h, w, 3),
            empty(h, w),
            empty(2, h, w),
            empty(2, h, w),
            np.full((v, t, 4, 4), np.nan),
            np.full((v, t, 3, 3), np.nan),
        )

    def fill(self, view: int, time: int, cell: _Cell, pose: np.ndarray, scale: float) -> None:
        """Depth, confidence, points, pose and intrinsics of one cell; `pose` is metric."""
        rays = camera_rays(cell.camera)
        gauge_pose = pose.copy()
        gauge_pose[:3, 3] *= scale
        depth = scale * cell.hits.depth
        points = gauge_pose[:3, :3] @ (np.vstack([rays, np.ones(rays.shape[1])]) * depth)
        self.depth[view, time] = depth.reshape(cell.shape)
        self.points[view, time] = (points + gauge_pose[:3, 3:]).T.reshape(*cell.shape, 3)
        # Certain nearby, less so far away, as with real networks.
        sure = 2.0 + 40.0 / (1.0 + cell.hits.depth)
        self.confidence[view, time] = np.nan_to_num(sure, nan=1.0).reshape(cell.shape)
        self.poses[view, time] = gauge_pose
        self.intrinsics[view, time] = cell.camera.intrinsics

    def prediction(self, device: torch.device) -> Prediction:
        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(device)

        return Prediction(
            depth=tensor(self.depth),
            depth_confidence=tensor(self.confidence),
            world_from_camera=self.poses,
            intrinsics=self.intrinsics,
            points=tensor(self.points),
            mask_logits=tensor(self.mask),
            flow_forward=tensor(self.forward),
            flow_backward=tensor(self.backward),
        )

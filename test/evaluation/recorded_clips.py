"""Clips of small synthetic recordings, and a predictor that knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import functools

import cv2
from fourd_perception.geometry.clips import Clips, DYNAMIC, UNKNOWN, unlabelled
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.model.prediction import GridTensors, Prediction, PredictorInfo
from fourd_perception.synthetic.recording import make_recording
import numpy as np
import torch

WIDTH, HEIGHT = 128, 96


@functools.cache
def recorded_clip(kind: str = 'room', views: int = 1, times: int = 3, seed: int = 0) -> Clips:
    """One clip of the first cameras of a recording, with its exact truth."""
    recording = make_recording(kind, max(views, 2), 2.0, 10.0, seed)
    names = list(recording.cameras)[:views]
    models = [recording.cameras[name].resized(WIDTH, HEIGHT) for name in names]
    recording = replace(recording, cameras=dict(zip(names, models)))
    stamps = [recording.stamps(name)[4 : 4 + times] for name in names]
    cells = [[(m, s) for s in view] for m, view in zip(models, stamps)]
    images = np.array([[recording.image(m.name, s) for m, s in view] for view in cells])

    def flows(step: int) -> tuple[np.ndarray, np.ndarray]:
        flow = np.full((views, times, 2, HEIGHT, WIDTH), np.nan, np.float32)
        occluded = np.full((views, times, HEIGHT, WIDTH), UNKNOWN, np.uint8)
        for v, view in enumerate(cells):
            for t in range(max(-step, 0), times - max(step, 0)):
                found, occluded[v, t] = recording.flow(*view[t], view[t + step][1])
                flow[v, t] = np.moveaxis(found, -1, 0)
        return flow, occluded

    def moved(view: int) -> list[np.ndarray]:
        return [recording.own_motion(m, s, stamps[view]) for m, s in cells[view]]

    (forward, occluded_forward), (backward, occluded_backward) = flows(1), flows(-1)
    return replace(
        unlabelled(torch.from_numpy(images).permute(0, 1, 4, 2, 3)[None]),
        seconds=torch.tensor(np.array(stamps) * 1e-9)[None],
        intrinsics=_floats([[m.intrinsics for m, _ in view] for view in cells]),
        world_from_camera=_floats(
            [[recording.world_from_camera(m.name, s) for m, s in view] for view in cells]
        ),
        depth=_floats([[recording.depth(m, s) for m, s in view] for view in cells]),
        flow_forward=_floats(forward),
        flow_backward=_floats(backward),
        occluded_forward=torch.from_numpy(occluded_forward)[None],
        occluded_backward=torch.from_numpy(occluded_backward)[None],
        dynamic=dynamic_label(_floats([moved(v) for v in range(views)])),
    )


@dataclass(frozen=True)
class ClipPredictor:
    """Answers every grid with the truth of one clip, in another gauge, and off where asked.

    scale:  of depths and translations
    turn:   degrees by which each pose is turned further than the one before
    shift:  pixels by which all flow is off, (u, v)
    focal:  per view, its own focal lengths over the true ones; depth follows, as networks' does
    """

    clip: Clips
    scale: float = 2.5
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    focal: tuple[float, ...] = (1.0,)

    @property
    def info(self) -> PredictorInfo:
        """Of a predictor that knows the truth."""
        return PredictorInfo('clip', patch=16, licence='Apache-2.0')

    def predict(self, grid: GridTensors) -> Prediction:
        """The truth."""
        clip = self.clip
        poses = clip.world_from_camera[0].double().numpy().copy()
        poses = np.linalg.inv(poses[grid.reference]) @ poses
        poses[..., :3, 3] *= self.scale
        for time in range(poses.shape[1]):
            poses[:, time, :3, :3] @= cv2.Rodrigues(np.radians([0.0, time * self.turn, 0.0]))[0]
        focal = np.array(self.focal, np.float32)[:, None, None, None]
        depth = clip.depth[0].nan_to_num(50.0) * self.scale * torch.from_numpy(focal)
        intrinsics = clip.intrinsics[0].double().numpy().copy()
        intrinsics[..., :2, :2] *= focal
        shift = torch.tensor(self.shift)[:, None, None]
        return Prediction(
            depth=depth,
            depth_confidence=torch.full_like(depth, 2.0),
            world_from_camera=poses,
            intrinsics=intrinsics,
            mask_logits=torch.where(clip.dynamic[0] == DYNAMIC, 4.0, -4.0),
            flow_forward=(clip.flow_forward[0] + shift).nan_to_num(0.0),
            flow_backward=(clip.flow_backward[0] - shift).nan_to_num(0.0),
        )


def _floats(values: Sequence | np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float32))[None]

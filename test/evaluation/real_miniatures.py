"""Small recordings whose answers are known, and predictors that give them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
from fourd_perception.evaluation.real_room import Room
from fourd_perception.evaluation.score_table import Row, Table
from fourd_perception.model.prediction import GridTensors, Prediction, PredictorInfo
import numpy as np
from recorded_clips import recorded_clip
import torch


def ignore(_share: float) -> None:
    """Progress that nobody looks at."""


def row(table: Table, what: str) -> Row:
    return next(r for r in table.rows if r.what == what)


@dataclass(frozen=True)
class Told:
    """A predictor that answers what it is told to."""

    answer: Callable[[GridTensors], Prediction]
    info: PredictorInfo = PredictorInfo('told', patch=16, licence='Apache-2.0')

    def predict(self, grid: GridTensors) -> Prediction:
        """The answer."""
        return self.answer(grid)


def prediction(
    grid: GridTensors,
    depth: torch.Tensor | float = 1.0,
    flow: tuple[float, float] = (0.0, 0.0),
    world_from_camera: np.ndarray | None = None,
    dynamic: torch.Tensor | None = None,
) -> Prediction:
    views, times, _, height, width = grid.images.shape
    shape = views, times, height, width
    known = torch.broadcast_to(torch.as_tensor(depth, dtype=torch.float32), shape)
    forward = torch.tensor(flow)[:, None, None].expand(views, times, 2, height, width)
    poses = np.broadcast_to(np.eye(4), (views, times, 4, 4))
    return Prediction(
        depth=known,
        depth_confidence=torch.ones(shape),
        world_from_camera=poses if world_from_camera is None else world_from_camera,
        intrinsics=np.repeat(grid.intrinsics[:, None], times, axis=1),
        mask_logits=None if dynamic is None else dynamic.expand(shape) - 0.5,
        flow_forward=forward,
        flow_backward=-forward,
    )


def flowless(grid: GridTensors) -> Prediction:
    nothing = {'flow_forward': None, 'flow_backward': None}
    return Prediction(**{**vars(prediction(grid)), **nothing})


def panning_video(frames: int = 7, speed: float = 2.0) -> list[np.ndarray]:
    """The picture of a texture that runs to the left, px a frame, at 256x192."""
    noise = np.random.default_rng(1).uniform(0, 255, (260, 400, 3))
    canvas = cv2.normalize(cv2.GaussianBlur(noise, None, 2.0), None, 0, 255, cv2.NORM_MINMAX)
    canvas = canvas.astype(np.float32)
    places = [(150 + speed * n, 130) for n in range(frames)]
    return [cv2.getRectSubPix(canvas, (256, 192), p).astype(np.uint8) for p in places]


def room() -> Room:
    clip = recorded_clip('room', times=3, seed=1)
    images = list(clip.images[0, 0].permute(0, 2, 3, 1).contiguous().numpy())
    poses = clip.world_from_camera[0, 0].double().numpy()
    return Room(images, clip.depth[0, 0].numpy(), poses, clip.intrinsics[0, 0].double().numpy())


def write_video(folder: Path, frames: int = 5) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(panning_video(frames)):
        cv2.imwrite(str(folder / f'{number:03d}.jpg'), frame[..., ::-1])


def write_room(folder: Path, photographs: int = 3) -> None:
    folder.mkdir(parents=True)
    given = room()
    for number, image in enumerate(given.images):
        cv2.imwrite(str(folder / f'{number}.png'), image[..., ::-1])
    truth = {
        'depths': given.depth,
        'poses': given.world_from_camera,
        'intrinsics': given.intrinsics,
    }
    np.savez(folder / 'ground_truth.npz', **{k: v[:photographs] for k, v in truth.items()})

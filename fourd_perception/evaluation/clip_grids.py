"""Clips as the grids that predictors read, and what predictors answer as what is scored."""

from __future__ import annotations

from fourd_perception.engine.window_prediction import focal_factors
from fourd_perception.evaluation.clip_scores import Answer
from fourd_perception.evaluation.pose_pairs import relative_poses
from fourd_perception.geometry.clips import Clips
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import torch

NANOSECONDS = 1e9


def clip_grid(clip: Clips) -> GridTensors:
    """The grid of one clip (a batch of one), its calibration known; every column wants maps.

    Raises ValueError for a clip whose instants are not known or whose calibration changes.
    """
    images = clip.images[0]
    views, times, _, height, width = images.shape
    present = clip.present[0].cpu().numpy()
    seconds, intrinsics = clip.seconds[0].cpu().numpy(), clip.intrinsics[0].double().cpu().numpy()
    if not np.isfinite(seconds[present]).all():
        raise ValueError(
            'a clip without seconds is no grid: networks read the time between images'
        )
    view, time = np.argwhere(present)[0]
    stamps = np.round((seconds - np.nanmin(seconds[present])) * NANOSECONDS)
    return GridTensors(
        images=images.float() / 255.0 * clip.present[0][..., None, None, None],
        present=present,
        valid=images.new_ones(views, height, width, dtype=torch.bool),
        intrinsics=np.stack([_constant(k[seen]) for k, seen in zip(intrinsics, present)]),
        pixel_maps=(PixelMap(),) * views,
        cameras=tuple(f'camera{v}' for v in range(views)),
        stamps=np.where(present, stamps, -1).astype(np.int64),
        reference=(int(view), int(time)),
    )


def _constant(intrinsics: np.ndarray) -> np.ndarray:
    """The camera matrix [3, 3] that a view [T, 3, 3] has throughout; NaN for one never seen."""
    if not len(intrinsics):
        return np.full((3, 3), np.nan)
    if not np.allclose(intrinsics, intrinsics[:1], equal_nan=True):
        raise ValueError('a grid knows one camera matrix a view, but this one zooms')
    return intrinsics[0]


def answer_of(grid: GridTensors, prediction: Prediction) -> Answer:
    """What a predictor says of a clip; unknown is not dynamic.

    Depth is that for the known focal length, which fits the network's translations.
    """
    factor = focal_factors(grid.intrinsics, prediction.intrinsics)[..., None, None]
    logits, flow = prediction.mask_logits, prediction.flow_forward
    return Answer(
        depth=prediction.depth.cpu().numpy() * factor,
        dynamic=None if logits is None else (logits > 0).cpu().numpy(),
        flow_forward=None if flow is None else flow.cpu().numpy(),
        newer_from_older=relative_poses(prediction.world_from_camera),
    )

"""What two neighbouring instants of a window show of the motion between them."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.engine.window_prediction import focal_factors, WindowPrediction
from fourd_perception.geometry.pose_from_flow import solve_motion
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.sightings import Sightings, thin_sightings
from fourd_perception.model.heads.flow import occluded
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import torch

SAMPLES = 4096  # pixels of all cameras together, and at least a quarter of it of each
UNKNOWN_STATIC = 0.5  # weight where nothing tells whether a pixel moves


def with_sightings(
    window: WindowPrediction, tensors: GridTensors, prediction: Prediction
) -> WindowPrediction:
    """The window with what its two newest slices show, or with the reason why there is nothing."""
    if window.newest == 0:
        return replace(window, unsolved='there is no slice before to have moved from')
    sightings = sight_pair(tensors, prediction, window.focal_factor, window.newest - 1)
    if sightings is None:
        return replace(window, unsolved='these weights give no flow')
    return replace(window, sightings=sightings)


def solved_motions(tensors: GridTensors, prediction: Prediction) -> np.ndarray:
    """older_from_newer float64 [V, T - 1, 4, 4] of neighbouring instants, each camera by itself.

    In gauge units. The predicted motion where it cannot be solved, NaN where a cell is missing.
    Needs maps in all columns; no window, no rig, no chain: what a clip is scored by.
    """
    poses = prediction.world_from_camera
    motions = invert(poses[:, :-1]) @ poses[:, 1:]
    factor = focal_factors(tensors.intrinsics, prediction.intrinsics)
    for older in range(motions.shape[1]):
        sightings = sight_pair(tensors, prediction, factor, older)
        seen = np.flatnonzero(np.isfinite(motions[:, older]).all(axis=(1, 2)))
        if sightings is None or not len(seen):
            continue
        start = torch.from_numpy(motions[:, older]).to(sightings[0].depth.device)
        found = solve_motion(sightings[0], start, sightings[1]).older_from_newer
        motions[seen, older] = found.cpu().numpy()[seen]
    return motions


def sight_pair(
    tensors: GridTensors, prediction: Prediction, focal_factor: np.ndarray, older: int
) -> tuple[Sightings, Sightings] | None:
    """Sightings at the instants `older` and `older + 1`, each towards the other; V single cameras.

    Depth is in gauge units, for the known focal length (`focal_factor` [V, T]); the intrinsics
    are the known ones, the network's own where there are none. Pixels count by how surely they
    stand still, are seen in both images and have a flow to rely on. None without flow.
    """
    if prediction.flow_forward is None or prediction.flow_backward is None:
        return None
    newer = older + 1
    there, back = prediction.flow_forward[:, older], prediction.flow_backward[:, newer]
    known = np.isfinite(tensors.intrinsics).all(axis=(1, 2))[:, None, None]
    older_sightings, newer_sightings = (
        thin_sightings(
            depth=(prediction.depth[:, at] * _column(focal_factor[:, at], there))[:, None],
            flow=flow[:, None],
            weights=(_still(prediction, tensors.valid, at) * _seen(flow, other) * trust)[:, None],
            intrinsics=_matrices(tensors, prediction, known, at, there),
            target_intrinsics=_matrices(tensors, prediction, known, to, there),
            samples=max(SAMPLES // len(there), SAMPLES // 4),
        )
        for at, to, flow, other, trust in (
            (older, newer, there, back, _trust(prediction.flow_forward_error, older)),
            (newer, older, back, there, _trust(prediction.flow_backward_error, newer)),
        )
    )
    return older_sightings, newer_sightings


def _still(prediction: Prediction, valid: torch.Tensor, at: int) -> torch.Tensor:
    """[V, H, W]: probability of standing still; 0 on padding and ignored pixels."""
    if prediction.mask_logits is None:
        return valid.float()
    still = torch.sigmoid(-prediction.mask_logits[:, at])
    return still.nan_to_num(UNKNOWN_STATIC) * valid


def _seen(flow: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    return (~occluded(flow, back)[:, 0]).float()


def _trust(error: torch.Tensor | None, at: int) -> torch.Tensor | float:
    """[V, H, W]: inverse variance of the flow over its median one, at most 1."""
    if error is None:
        return 1.0
    variance = error[:, at] ** 2
    middle = variance.flatten(1).nanmedian(dim=1).values[:, None, None]
    return (middle / variance).clamp(max=1.0)


def _column(numbers: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(numbers).to(like)[:, None, None]


def _matrices(
    tensors: GridTensors, prediction: Prediction, known: np.ndarray, at: int, like: torch.Tensor
) -> torch.Tensor:
    matrices = np.where(known, tensors.intrinsics, prediction.intrinsics[:, at])
    return torch.from_numpy(matrices).to(like)[:, None]

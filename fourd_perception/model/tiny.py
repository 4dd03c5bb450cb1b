"""The predictor around the small network: weights by seed, answers by the conventions."""

from __future__ import annotations

import math

from fourd_perception.geometry.poses import invert, rotation_from_quaternion, transform
from fourd_perception.model.grid_check import check_grid
from fourd_perception.model.prediction import GridTensors, Prediction, PredictorInfo
from fourd_perception.model.tiny_network import PATCH, RawOutputs, TinyNetwork
import numpy as np
import torch

MAX_LOGARITHM = 10.0


class TinyPredictor:
    """The small network with untrained weights, drawn from a seed.

    The same seed gives the same weights on every device. Its outputs keep every convention of
    `Prediction` and mean nothing.
    """

    def __init__(self, seed: int, device: str | torch.device = 'cpu') -> None:
        """Draw the weights and put them on `device`; torch's own random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = TinyNetwork()
        self._network = network.to(device).eval().requires_grad_(False)
        self._device = torch.device(device)
        self._info = PredictorInfo(
            name=f'untrained:{seed}',
            patch=PATCH,
            licence='Apache-2.0',
            notice='UNTRAINED WEIGHTS: depth, poses, masks and flow mean nothing',
            parameters=sum(p.numel() for p in network.parameters()),
        )

    @property
    def info(self) -> PredictorInfo:
        """Name, patch size, licence and the notice that the weights are untrained."""
        return self._info

    @torch.no_grad()
    def predict(self, grid: GridTensors) -> Prediction:
        """Read the grid; the result lies on the device of `grid.images`.

        Raises ValueError, in plain words, for a grid that `check_grid` refuses.
        """
        check_grid(grid, PATCH)
        present = torch.from_numpy(grid.present)
        cells = present.nonzero() - torch.tensor(grid.reference)
        images = grid.images[present.to(grid.images.device)].to(self._device, torch.float32)
        raw = self._network(images, cells.to(self._device))
        return _prediction(raw, grid)


def _prediction(raw: RawOutputs, grid: GridTensors) -> Prediction:
    present = grid.present
    dense = _scatter(raw.dense, grid)
    logarithms = dense[:, :, :2].clamp(-MAX_LOGARITHM, MAX_LOGARITHM)
    mask = dense[:, :, 2]
    if present.any(axis=0).sum() < 2:
        mask = torch.full_like(mask, math.nan)
    pose = raw.pose.double().cpu().numpy()
    world_from_camera = np.full((*present.shape, 4, 4), np.nan)
    world_from_camera[present] = _poses(pose)
    world_from_camera[present] = (
        invert(world_from_camera[grid.reference]) @ world_from_camera[present]
    )
    world_from_camera[grid.reference] = np.eye(4)
    intrinsics = np.full((*present.shape, 3, 3), np.nan)
    intrinsics[present] = _intrinsics(pose[:, 7], *grid.images.shape[3:])
    newer, older = np.zeros_like(present), np.zeros_like(present)
    newer[:, :-1], older[:, 1:] = present[:, 1:], present[:, :-1]
    return Prediction(
        depth=logarithms[:, :, 0].exp(),
        depth_confidence=1.0 + logarithms[:, :, 1].exp(),
        world_from_camera=world_from_camera,
        intrinsics=intrinsics,
        mask_logits=mask,
        flow_forward=_only_where(newer, PATCH * dense[:, :, 3:5]),
        flow_backward=_only_where(older, PATCH * dense[:, :, 5:7]),
    )


def _scatter(values: torch.Tensor, grid: GridTensors) -> torch.Tensor:
    """Values [N, ...] of the present cells as [V, T, ...], NaN in missing ones."""
    device = grid.images.device
    cells = torch.full((*grid.present.shape, *values.shape[1:]), math.nan, device=device)
    cells[torch.from_numpy(grid.present).to(device)] = values.to(device)
    return cells


def _only_where(cells: np.ndarray, values: torch.Tensor) -> torch.Tensor:
    """Keep the values [V, T, ...] of the given cells, NaN in all others."""
    kept = torch.from_numpy(cells).to(values.device)
    return values.masked_fill(~kept[:, :, None, None, None], math.nan)


def _poses(pose: np.ndarray) -> np.ndarray:
    """Rigid transforms [N, 4, 4] of raw poses [N, 8]; a raw quaternion of zero is no turn."""
    quaternions = pose[:, 3:7] + [0.0, 0.0, 0.0, 1.0]
    return transform(np.stack([rotation_from_quaternion(q) for q in quaternions]), pose[:, :3])


def _intrinsics(logit: np.ndarray, height: int, width: int) -> np.ndarray:
    """Square pixels, centred principal point; the diagonal field of view is 60 degrees at 0."""
    field_of_view = math.pi / (1.0 + 2.0 * np.exp(-np.clip(logit, -MAX_LOGARITHM, MAX_LOGARITHM)))
    focal = 0.5 * math.hypot(width, height) / np.tan(0.5 * field_of_view)
    intrinsics = np.zeros((len(logit), 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal
    intrinsics[:, 0, 2] = 0.5 * (width - 1)
    intrinsics[:, 1, 2] = 0.5 * (height - 1)
    intrinsics[:, 2, 2] = 1.0
    return intrinsics

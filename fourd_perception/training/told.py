"""What a network is told of the cells beside the images: sometimes all, sometimes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.small.network import Identifiers
from fourd_perception.training.seeded import choices
import numpy as np
import torch

# Shares of the clips (training.md 3.3, B.16).
KNOWN_RAYS = 0.7
KNOWN_CAMERAS = 0.5
KNOWN_TIMES = 0.5
TRUE_POSE = 0.5


@dataclass(frozen=True, eq=False)
class Told:
    """Of n clips, on the host.

    rays, times: bool [n], whether intrinsics and stamps are told
    identities:  int64 [n, V], the camera's number by view; -1 where not told
    true_pose:   bool [n], whether the mask head sees the camera's true motion
    """

    rays: torch.Tensor
    times: torch.Tensor
    identities: torch.Tensor
    true_pose: torch.Tensor

    def __getitem__(self, clips: torch.Tensor) -> Told:
        """Of some of the clips."""
        return Told(
            self.rays[clips], self.times[clips], self.identities[clips], self.true_pose[clips]
        )


def draw_told(seeds: Sequence[int], views: int, cameras: int) -> Told:
    """What is told of each sample, by its own seed.

    cameras: identities that the network knows; each view gets one of its own
    """
    rays, times, identities, true_pose = [], [], [], []
    for seed in seeds:
        draw = choices('told', seed)
        rays.append(draw.random() < KNOWN_RAYS)
        times.append(draw.random() < KNOWN_TIMES)
        known = draw.random() < KNOWN_CAMERAS
        true_pose.append(draw.random() < TRUE_POSE)
        identities.append(draw.permutation(cameras)[:views] if known else np.full(views, -1))
    return Told(
        torch.tensor(rays),
        torch.tensor(times),
        torch.from_numpy(np.stack(identities)),
        torch.tensor(true_pose),
    )


def identifiers(told: Told, clips: Clips, layout: CellLayout) -> Identifiers:
    """What the network reads of the cells of a layout; clips [n, V, T] as `told`."""
    view, time = list(layout.view_id), list(layout.time_id)
    device = clips.images.device
    rays, times = told.rays.to(device), told.times.to(device)
    return Identifiers(
        torch.where(rays[:, None, None, None], clips.intrinsics[:, view, time], torch.nan),
        told.identities[:, view].to(device),
        torch.where(times[:, None], clips.seconds[:, view, time], torch.nan),
    )

"""What relative poses and fields of view are punished for (training.md 3.2, 3.6)."""

from __future__ import annotations

from fourd_perception.model.small.camera import Cameras, compose
from fourd_perception.model.small.grid_plan import GridPlan
from fourd_perception.training.depth_loss import masked_mean
import torch


def relative_poses(world_from_a: torch.Tensor, world_from_b: torch.Tensor) -> torch.Tensor:
    """a_from_b of poses [..., 4, 4] that broadcast; exact however far off the origin lies."""
    back = world_from_a[..., :3, :3].transpose(-1, -2)
    rotation = back @ world_from_b[..., :3, :3]
    # The difference first: far from the origin, products would lose the digits that matter.
    translation = back @ (world_from_b[..., :3, 3:] - world_from_a[..., :3, 3:])
    top = torch.cat([rotation, translation], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1
    return torch.cat([top, bottom], dim=-2)


def pose_errors(predicted: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """L1 errors of rotation and translation of transforms [..., 4, 4], each [...].

    Half the L1 distance of the matrices: for small errors that of the rotation vectors, radians.
    """
    error = (predicted - truth)[..., :3, :].abs()
    return error[..., :3].sum((-1, -2)) / 2, error[..., 3].sum(-1)


def pose_loss(
    cameras: Cameras,
    plan: GridPlan,
    world_from_camera: torch.Tensor,
    unit: torch.Tensor,
    factor: torch.Tensor,
) -> torch.Tensor:
    """Loss [n] of the poses that the head names, and of all pairs that they compose to.

    world_from_camera: [n, S, 4, 4] true poses, NaN where unknown
    unit:              [n], length of the true world that counts as 1; NaN: translations unknown
    factor:            [n], takes the network's lengths to these units
    Mean over the pairs of a clip of rotation (radians) and translation errors, direct ones and
    composed ones weighing the same; clips without two known poses give 0.
    """
    truth = _in_units(world_from_camera, unit)
    told, direct = _direct(cameras, plan, truth)
    composed = compose(cameras, plan)
    count = truth.shape[1]
    apart = ~torch.eye(count, dtype=torch.bool, device=truth.device)
    i, j = apart.nonzero(as_tuple=True)
    pairs = (
        relative_poses(composed[:, i], composed[:, j]),
        relative_poses(truth[:, i], truth[:, j]),
    )
    return _mean_error(told, direct, factor) + _mean_error(*pairs, factor)


def field_of_view_loss(
    field_of_view: torch.Tensor, intrinsics: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Mean L1 error [n] of fields of view [n, S, 2] (vertical, horizontal), radians.

    intrinsics: true ones [n, S, 3, 3], NaN where unknown
    """
    focal = torch.stack([intrinsics[..., 1, 1], intrinsics[..., 0, 0]], dim=-1)
    size = focal.new_tensor([height, width])
    truth = 2 * torch.atan(size / 2 / focal)
    known = truth.isfinite()
    error = (field_of_view - torch.where(known, truth, 0)).abs()
    return masked_mean(error, known)


def _in_units(world_from_camera: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    scaled = world_from_camera.clone()
    scaled[..., :3, 3] = world_from_camera[..., :3, 3] / unit[:, None, None]
    return scaled


def _direct(
    cameras: Cameras, plan: GridPlan, truth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses told by the head and true ones, both [n, pairs, 4, 4]."""
    followers = (~plan.is_leader).nonzero()[:, 0]
    leaders = plan.leaders
    told = [cameras.leader_from_camera[:, followers], cameras.previous_from_leader[:, 1:]]
    true = [
        relative_poses(truth[:, plan.leader_of[followers]], truth[:, followers]),
        relative_poses(truth[:, leaders[:-1]], truth[:, leaders[1:]]),
    ]
    return torch.cat(told, dim=1), torch.cat(true, dim=1)


def _mean_error(
    predicted: torch.Tensor, truth: torch.Tensor, factor: torch.Tensor
) -> torch.Tensor:
    """Mean over the pairs [n, pairs, 4, 4] of a clip that are known."""
    stretch = torch.ones_like(predicted[..., :3, :])
    stretch = torch.cat([stretch[..., :3], stretch[..., 3:] * factor[:, None, None, None]], dim=-1)
    known = truth.isfinite()[..., :3, :]
    rotation_known, translation_known = known[..., :3].all(-1).all(-1), known[..., 3].all(-1)
    rotation, translation = pose_errors(
        predicted[..., :3, :] * stretch, torch.where(known, truth[..., :3, :], 0)
    )
    return masked_mean(rotation, rotation_known) + masked_mean(translation, translation_known)

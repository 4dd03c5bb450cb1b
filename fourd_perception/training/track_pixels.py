"""Where tracked points are in the images of cameras that look at them."""

from __future__ import annotations

from fourd_perception.training.pose_loss import relative_poses
import torch

NEAREST = 1e-6


def track_pixels(
    points: torch.Tensor, world_from_camera: torch.Tensor, intrinsics: torch.Tensor
) -> torch.Tensor:
    """Pixels [..., N, 2] (x, y) of points [..., N, 3] in the world; NaN unless in front.

    world_from_camera: [..., 4, 4]; intrinsics: [..., 3, 3] without skew
    """
    origin = torch.eye(4, device=world_from_camera.device).expand_as(world_from_camera)
    camera_from_world = relative_poses(world_from_camera, origin)
    local = points @ camera_from_world[..., :3, :3].mT + camera_from_world[..., None, :3, 3]
    depth = torch.where(local[..., 2:] > NEAREST, local[..., 2:], torch.nan)
    focal = intrinsics[..., None, (0, 1), (0, 1)]
    return local[..., :2] / depth * focal + intrinsics[..., None, :2, 2]

"""What networks of the VGGT family are to answer, in the scale that they choose (vggt A.13)."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.pose_encoding import encode
from fourd_perception.training.depth_loss import masked_mean
from fourd_perception.training.pose_loss import relative_poses
import torch

LEAST_SCALE, MOST_SCALE = 1e-6, 1e6


@dataclass(frozen=True, eq=False)
class NetworkTruth:
    """The truth of n clips at the S cells of a layout; NaN where unknown.

    Lengths are divided by the mean distance of all known points from the reference camera, or,
    of cells whose pose is unknown, from their own.

    depth:     [n, S, H, W]
    points:    [n, S, H, W, 3] in the reference camera
    encodings: [n, S, 9], see `pose_encoding`; the reference is the world
    scale:     [n], length of the world that counts as 1
    reference_from_world: [n, 4, 4], with lengths of the world
    """

    depth: torch.Tensor
    points: torch.Tensor
    encodings: torch.Tensor
    scale: torch.Tensor
    reference_from_world: torch.Tensor


def network_truth(clips: Clips, layout: CellLayout) -> NetworkTruth:
    """The truth at the present cells of clips that all have this layout."""
    view, time = list(layout.view_id), list(layout.time_id)
    depth, k = clips.depth[:, view, time], clips.intrinsics[:, view, time]
    world_from_camera = clips.world_from_camera[:, view, time]
    world_from_reference = world_from_camera[:, layout.reference, None]
    reference_from_camera = relative_poses(world_from_reference, world_from_camera)
    local = camera_points(depth, k)
    points = _moved(reference_from_camera, local)
    known = points.isfinite().all(-1, keepdim=True)
    distance = torch.where(known, points, local).norm(dim=-1)
    scale = masked_mean(distance, distance.isfinite()).clamp(LEAST_SCALE, MOST_SCALE)
    camera_from_reference = relative_poses(world_from_camera, world_from_reference)
    camera_from_reference[..., :3, 3] /= scale[:, None, None]
    origin = torch.eye(4, device=depth.device).expand_as(world_from_reference)
    height, width = depth.shape[-2:]
    return NetworkTruth(
        depth / scale[:, None, None, None],
        points / scale[:, None, None, None, None],
        encode(camera_from_reference, k, height, width),
        scale,
        relative_poses(world_from_reference, origin)[:, 0],
    )


def camera_points(depth: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Points [..., H, W, 3] before cameras without skew, of depth [..., H, W] along z."""
    height, width = depth.shape[-2:]
    k = intrinsics[..., None, None, :, :]
    x = (torch.arange(width, device=depth.device) - k[..., 0, 2]) / k[..., 0, 0]
    y = (torch.arange(height, device=depth.device)[:, None] - k[..., 1, 2]) / k[..., 1, 1]
    return torch.stack([depth * x, depth * y, depth], dim=-1)


def _moved(a_from_b: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points [..., H, W, 3] of b in a."""
    rotation = a_from_b[..., None, None, :3, :3]
    return (rotation @ points[..., None])[..., 0] + a_from_b[..., None, None, :3, 3]

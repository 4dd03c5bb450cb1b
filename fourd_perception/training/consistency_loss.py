"""Two images of one view must agree on the depth of what stands still (training.md 3.6)."""

from __future__ import annotations

from fourd_perception.training.depth_loss import masked_mean
import torch
import torch.nn.functional as F


def consistency_loss(
    log_depth: torch.Tensor,
    other_log_depth: torch.Tensor,
    intrinsics: torch.Tensor,
    other_intrinsics: torch.Tensor,
    other_from_camera: torch.Tensor,
    still: torch.Tensor,
) -> torch.Tensor:
    """Mean |log-depth met - log-depth expected| [n] where pixels land in the other image.

    log_depth, other_log_depth: [n, P, H, W] of P pairs of images, the network's own
    intrinsics, other_intrinsics: [n, P, 3, 3], without skew, pixel (0, 0) centred at (0, 0)
    other_from_camera: [n, P, 4, 4], in the scale of the depths
    still: bool [n, P, H, W], pixels that stand still and are seen in the other image
    Both depths and the pose get gradients. 0 for clips without any such pixel.
    """
    pairs, height, width = log_depth.shape[1:]
    flat = [x.flatten(0, 1) for x in (log_depth, other_log_depth, other_from_camera)]
    depth, other, pose = flat
    k, k_other = (m.flatten(0, 1)[:, :, :, None, None] for m in (intrinsics, other_intrinsics))
    v, u = torch.meshgrid(
        torch.arange(height, device=depth.device, dtype=torch.float32),
        torch.arange(width, device=depth.device, dtype=torch.float32),
        indexing='ij',
    )
    z = depth.exp()
    point = torch.stack(
        [z * (u - k[:, 0, 2]) / k[:, 0, 0], z * (v - k[:, 1, 2]) / k[:, 1, 1], z], dim=1
    )
    moved = (pose[:, :3, :3] @ point.flatten(2) + pose[:, :3, 3:]).unflatten(2, (height, width))
    x, y, expected = moved.unbind(1)
    ahead = expected > 1e-3
    expected = torch.where(ahead, expected, 1.0)
    there = torch.stack(
        [
            (2 * (x / expected * k_other[:, 0, 0] + k_other[:, 0, 2]) + 1) / width - 1,
            (2 * (y / expected * k_other[:, 1, 1] + k_other[:, 1, 2]) + 1) / height - 1,
        ],
        dim=-1,
    )
    inside = ahead & (there.detach().abs() < 1).all(-1)
    met = F.grid_sample(other[:, None], there, padding_mode='border', align_corners=False)[:, 0]
    compared = still & inside.unflatten(0, (-1, pairs))
    return masked_mean((met - expected.log()).abs().unflatten(0, (-1, pairs)), compared)

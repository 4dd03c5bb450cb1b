"""Dynamic mask from motion that the camera's own does not explain (spec B.16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.model.layers.convex_upsampling import CELL, convex_upsample
import torch
from torch import nn
import torch.nn.functional as F

EVIDENCE = 7


@dataclass(frozen=True, eq=False)
class OtherFrame:
    """The same view at another instant, for N cells: what is known of it and of the way there.

    flow:              [N, 2, H, W] from the cell to the other frame, pixels, NaN where unknown
    log_scale:         [N, 1, H, W], logarithm of the expected length of the flow's error, pixels
    occluded:          bool [N, 1, H, W], where the flow leads to what is hidden there
    depth:             [N, H, W] of the other frame
    intrinsics:        [N, 3, 3] of the other frame
    other_from_camera: [N, 4, 4], in the scale of the depths
    """

    flow: torch.Tensor
    log_scale: torch.Tensor
    occluded: torch.Tensor
    depth: torch.Tensor
    intrinsics: torch.Tensor
    other_from_camera: torch.Tensor


@torch.no_grad()
def residual_motion(
    depth: torch.Tensor, intrinsics: torch.Tensor, other: OtherFrame
) -> torch.Tensor:
    """What moves beside the camera [N, 7, H, W]: zeros for a still point of known flow.

    depth, intrinsics: of the cell, [N, H, W] and [N, 3, 3], pixel (0, 0) centred at (0, 0)
    Channels: flow minus ego-flow in pixels (2) and in sigmas of the flow (2), both compressed by
    sign(x) log(1 + |x|); difference of the log-depth met there and the one expected, compressed
    as well; occlusion; 1 where nothing is known. No gradient flows: a mask must not bend depth,
    pose or flow.
    """
    # In bfloat16 pixels would be off by half of one.
    with torch.autocast(depth.device.type, enabled=False):
        return _residual_motion(depth, intrinsics, other)


def _residual_motion(
    depth: torch.Tensor, intrinsics: torch.Tensor, other: OtherFrame
) -> torch.Tensor:
    height, width = depth.shape[1:]
    v, u = torch.meshgrid(
        torch.arange(height, device=depth.device, dtype=torch.float32),
        torch.arange(width, device=depth.device, dtype=torch.float32),
        indexing='ij',
    )
    k, k_other = (m.float()[:, :, :, None, None] for m in (intrinsics, other.intrinsics))
    z = depth.float()
    ray = torch.stack(
        [(u - k[:, 0, 2]) / k[:, 0, 0], (v - k[:, 1, 2]) / k[:, 1, 1], torch.ones_like(z)], dim=1
    )
    pose = other.other_from_camera.float()
    point = torch.einsum('nij,njyx->niyx', pose[:, :3, :3], z[:, None] * ray)
    x, y, expected = (point + pose[:, :3, 3, None, None]).unbind(1)
    ahead = expected > 0
    expected = torch.where(ahead, expected, 1.0)
    ego = torch.stack(
        [
            x / expected * k_other[:, 0, 0] + k_other[:, 0, 2] - u,
            y / expected * k_other[:, 1, 1] + k_other[:, 1, 2] - v,
        ],
        dim=1,
    )
    flow = other.flow.float()
    known = (ahead[:, None] & flow.isfinite().all(1, keepdim=True)).float()
    flow = flow.nan_to_num(0.0)
    there = torch.stack(
        [(2 * (u + flow[:, 0]) + 1) / width - 1, (2 * (v + flow[:, 1]) + 1) / height - 1], dim=-1
    )
    met = F.grid_sample(
        other.depth.float().log()[:, None], there, padding_mode='border', align_corners=False
    )
    residual = flow - ego
    found = torch.cat(
        [
            residual,
            residual * other.log_scale.float().neg().exp(),
            met - expected[:, None].log(),
            other.occluded.float(),
        ],
        dim=1,
    ).nan_to_num(0.0, 0.0, 0.0)
    found = found.sign() * found.abs().log1p()
    return torch.cat([found * known, 1 - known], dim=1)


class ResidualMotionHead(nn.Module):
    """Convolutions at 1/4 over dense features of any trunk and the residual motion both ways."""

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, width, 1)
        self.read = nn.Conv2d(2 * EVIDENCE, width, CELL, stride=CELL)
        self.join = nn.Conv2d(2 * width, width, 3, padding=1)
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        self.logit = nn.Conv2d(width, 1, 3, padding=1)
        self.weights = nn.Conv2d(width, 9 * CELL**2, 1)

    def forward(
        self,
        features: torch.Tensor,
        depth: torch.Tensor,
        intrinsics: torch.Tensor,
        others: Sequence[OtherFrame | None],
    ) -> torch.Tensor:
        """Mask logits float32 [N, H, W], > 0 where something moves.

        features:   [N, channels, h, w], of any size; about a quarter of the image's is right
        depth, intrinsics: [N, H, W] and [N, 3, 3], the network's own
        others:     the same views one instant later and one instant earlier, None where there is
                    none for any cell (a single one: NaN flow)
        """
        height, width = depth.shape[1:]
        nothing = torch.zeros(
            len(depth), EVIDENCE, height, width, device=depth.device, dtype=torch.float32
        )
        nothing[:, -1] = 1
        evidence = torch.cat(
            [nothing if o is None else residual_motion(depth, intrinsics, o) for o in others],
            dim=1,
        )
        evidence = F.pad(evidence, (0, -width % CELL, 0, -height % CELL))
        read = self.read(evidence.to(self.read.weight.dtype))
        features = self.project(features)
        if features.shape[2:] != read.shape[2:]:
            features = F.interpolate(
                features, size=read.shape[2:], mode='bilinear', align_corners=False
            )
        x = self.join(F.gelu(torch.cat([features, read], dim=1)))
        x = F.gelu(x + self.refine(F.gelu(x)))
        fine = convex_upsample(self.logit(x).float(), self.weights(x))
        return fine[:, 0, :height, :width]

"""Clips as a frozen VGGT or 4D-VGGT sees them, with what its heads are to learn."""

from __future__ import annotations

from dataclasses import dataclass, fields

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Network
from fourd_perception.model.pose_encoding import decode, pixel_centred
from fourd_perception.model.small.camera import inverse
from fourd_perception.training.big_terms import in_float
from fourd_perception.training.cells import cells_of
from fourd_perception.training.scale import log_factor
import torch


@dataclass(frozen=True, eq=False)
class FrozenClips:
    """n clips of one view at S instants.

    images:     uint8 [n, S, 3, H, W]
    features:   bfloat16 [n, S, C, h, w], see `Network.motion_features`
    log_depth:  float32 [n, S, H, W], and intrinsics [n, S, 3, 3] and poses [n, S, 4, 4]
                (world_from_camera), the network's own
    true_poses: the same, true; log_length: [n], logarithm of the true length of its unit
    flow_forward and so on: the truth, as in `Clips`
    """

    images: torch.Tensor
    features: torch.Tensor
    log_depth: torch.Tensor
    intrinsics: torch.Tensor
    poses: torch.Tensor
    true_poses: torch.Tensor
    log_length: torch.Tensor
    flow_forward: torch.Tensor
    flow_backward: torch.Tensor
    occluded_forward: torch.Tensor
    occluded_backward: torch.Tensor
    dynamic: torch.Tensor


@torch.no_grad()
def frozen_clips(network: Network, clips: Clips) -> FrozenClips:
    """What trunk, camera head and depth head say of the first view; all cells are there."""
    images = clips.images[:, 0].float() / 255
    height, width = images.shape[-2:]
    layout = CellLayout.sequence(images.shape[1])
    tables = network.tables(height, width)
    features = network.trunk(network.encode(images, tables), layout, tables)
    with torch.autocast(images.device.type, enabled=False):
        features = in_float(features)
        extrinsics, intrinsics = decode(network.cameras(features)[-1], height, width)
        depth, confidence = network.depth(features, tables)
        log_depth, log_truth = depth.log(), clips.depth[:, 0].log()
        factor = log_factor(log_depth, log_truth, log_truth.isfinite() * confidence)
        bottom = extrinsics.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*extrinsics.shape[:2], 1, 4)
        truth = cells_of(clips, layout)
        known = {f.name for f in fields(FrozenClips)} & {f.name for f in fields(truth)}
        own = {
            'features': network.motion_features(features, tables, slice(None)).bfloat16(),
            'log_depth': log_depth,
            'intrinsics': pixel_centred(intrinsics),
            'poses': inverse(torch.cat([extrinsics, bottom], dim=-2)),
            'true_poses': clips.world_from_camera[:, 0],
            'log_length': factor,
        }
        return FrozenClips(**{name: getattr(truth, name) for name in known - own.keys()}, **own)

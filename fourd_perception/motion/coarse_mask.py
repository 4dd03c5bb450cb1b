"""From motion cues to a mask: clusters of encoder features share one score (VGGT4D C.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fourd_perception.motion.cues import per_frame_range
from fourd_perception.motion.kmeans import kmeans
from fourd_perception.motion.otsu import CLASS_COUNTS, motion_threshold
import torch
import torch.nn.functional as F

FEATURE_CLUSTERS = 64


@dataclass(frozen=True, eq=False)
class CoarseMask:
    """Dynamic pixels of a clip, and how they came about.

    mask:      bool [S, H, W]
    saliency:  float32 [S, h, w], cluster scores scaled to 0..1 per frame
    labels:    int64 [S, h, w], cluster of each token
    threshold: on the saliency at image size; NaN when nothing differs and the mask is empty
    """

    mask: torch.Tensor
    saliency: torch.Tensor
    labels: torch.Tensor
    threshold: float


def cluster_saliency(dynamic: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Every token gets the mean of `dynamic` [S, h, w] over its cluster; scaled per frame."""
    flat = labels.flatten()
    count = int(flat.max()) + 1
    sums = torch.zeros(count, dtype=dynamic.dtype, device=dynamic.device)
    sums.index_add_(0, flat, dynamic.flatten())
    sizes = torch.bincount(flat, minlength=count).clamp(min=1)
    return per_frame_range((sums / sizes)[flat].view_as(dynamic))


def enlarge(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Maps [S, h, w] at image size, bilinear by pixel centres."""
    return F.interpolate(maps[:, None], (height, width), mode='bilinear', align_corners=False)[
        :, 0
    ]


def coarse_mask(
    dynamic: torch.Tensor,
    features: torch.Tensor,
    height: int,
    width: int,
    clusters: int = FEATURE_CLUSTERS,
    classes: Sequence[int] = CLASS_COUNTS,
) -> CoarseMask:
    """Mask of a clip from its dynamic map [S, h, w] and encoder features [S, h, w, C].

    classes: numbers of classes that the threshold may split into
    One threshold for the whole clip. Frames without a cue (NaN) have an empty mask.
    """
    known = dynamic.isfinite().flatten(1).all(1)
    labels = kmeans(features.flatten(0, 2), clusters).labels.view_as(dynamic)
    saliency = torch.full_like(dynamic, float('nan'))
    mask = torch.zeros(len(dynamic), height, width, dtype=torch.bool, device=dynamic.device)
    if not known.any():
        return CoarseMask(mask, saliency, labels, float('nan'))
    saliency[known] = cluster_saliency(dynamic[known], labels[known])
    large = enlarge(saliency[known], height, width)
    try:
        threshold = motion_threshold(large, classes)
    except ValueError:  # too few different values: nothing stands out
        return CoarseMask(mask, saliency, labels, float('nan'))
    mask[known] = large > threshold
    return CoarseMask(mask, saliency, labels, threshold)


def token_mask(mask: torch.Tensor, patch: int) -> torch.Tensor:
    """Tokens [S, h, w] with any dynamic pixel in their patch, of a mask bool [S, H, W] (C.4)."""
    return F.max_pool2d(mask[:, None].float(), patch)[:, 0] > 0.5

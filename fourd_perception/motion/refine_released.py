"""Mask refinement as VGGT4D released it: clusters of points that other frames contradict (C.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
from fourd_perception.motion.kmeans import kmeans
from fourd_perception.motion.outliers import radius_inliers, statistical_inliers
from fourd_perception.motion.refinement_clip import look_up, project, RefinementClip
import numpy as np
import torch

Inliers = Callable[[np.ndarray], np.ndarray]

OUTLIER, STATIC = -2, -1  # labels of pixels that are in no cluster
CLUSTERS = 30
VISIBLE_MARGIN = 0.01  # a point at most this far behind the surface counts as seen
FEWEST_USABLE = 0.05  # share of (point, frame) pairs below which a cluster stays dynamic
COLOUR_WEIGHT = 1 / 3
LOSS_LIMIT = 0.1  # in units of the network's scale
UNJUDGED = 1e10
REACH_PIXELS = 3.0
MOST_OTHERS = 64  # frames that judge one frame


@dataclass(frozen=True, eq=False)
class ClusterLosses:
    """Per cluster of one frame, float64 [K]: depth term, colour term, their sum.

    `UNJUDGED` where too few samples are usable.
    """

    depth: np.ndarray
    colour: np.ndarray
    total: np.ndarray


def candidate_labels(
    clip: RefinementClip, points: torch.Tensor, inliers: Inliers = statistical_inliers
) -> np.ndarray:
    """Labels int [S, H, W]: cluster 0..K-1 of every dynamic candidate, STATIC, or OUTLIER.

    inliers: which of the points [N, 3] of a frame are kept, bool [N]
    """
    shape = tuple(clip.depth.shape[1:])
    labels = np.full((len(clip.depth), *shape), STATIC, np.int64)
    mask = clip.mask.cpu().numpy()
    for cell in range(len(labels)):
        cloud = points[cell].reshape(-1, 3)
        inlier = inliers(cloud.double().cpu().numpy()).reshape(shape)
        labels[cell][~inlier] = OUTLIER
        candidate = inlier & mask[cell]
        if candidate.any():
            chosen = cloud[torch.from_numpy(candidate.reshape(-1)).to(cloud.device)]
            labels[cell][candidate] = kmeans(chosen, CLUSTERS).labels.cpu().numpy()
    return labels


def cluster_losses(
    clip: RefinementClip,
    points: torch.Tensor,
    labels: torch.Tensor,
    cell: int,
    weight: torch.Tensor | None = None,
    most_others: int = MOST_OTHERS,
) -> ClusterLosses:
    """How far the frames of other instants contradict each cluster of one frame.

    points [S, H, W, 3]; labels int64 [H, W] of the cell; weight [S, H, W]: of the residuals that
    a pixel of another frame gives, or None for equal ones.
    """
    chosen = labels >= 0
    member = labels[chosen]
    count = int(member.max()) + 1 if len(member) else 0
    others = clip.others(cell, most_others)
    if not count or not others:
        return ClusterLosses(*(np.full(count, UNJUDGED) for _ in range(3)))
    index = list(others)
    seen = project(clip, points[cell][chosen], others)
    depth = look_up(clip.depth[index, None], seen.pixel, 'nearest')[:, 0]
    dynamic = look_up(clip.mask[index, None].float(), seen.pixel, 'bilinear')[:, 0] > 0.5
    colour = look_up(clip.images[index], seen.pixel, 'bilinear')
    own = clip.images[cell][:, chosen]
    z = seen.camera[..., 2]
    usable = seen.inside & ~dynamic & (z - VISIBLE_MARGIN < depth)
    share = usable.double()
    if weight is not None:
        share = share * look_up(weight[index, None], seen.pixel, 'nearest')[:, 0].double()

    def per_cluster(values: torch.Tensor) -> np.ndarray:
        flat = torch.zeros(count, dtype=torch.float64, device=values.device)
        return flat.index_add_(0, member, values.sum(0)).cpu().numpy()

    def residual(values: torch.Tensor) -> torch.Tensor:
        return torch.where(usable, values.double(), 0.0) * share

    total = per_cluster(share)
    with np.errstate(divide='ignore', invalid='ignore'):
        depth_term = per_cluster(residual((z - depth).abs())) / total
        colour_term = per_cluster(residual((own[None] - colour).abs().sum(1))) / total
    pairs = len(others) * per_cluster(torch.ones_like(share[:1]))
    unjudged = per_cluster(usable.double()) < FEWEST_USABLE * pairs
    unjudged |= total == 0
    losses = [depth_term, colour_term, depth_term + COLOUR_WEIGHT * colour_term]
    return ClusterLosses(*(np.where(unjudged, UNJUDGED, loss) for loss in losses))


def tidy(mask: np.ndarray) -> np.ndarray:
    """Closing with an ellipse of 5 pixels, then dilation with a box of 3; bool [H, W]."""
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, ellipse)
    return cv2.dilate(closed, np.ones((3, 3), np.uint8)) > 0


def select(labels: np.ndarray, losses: ClusterLosses, limit: float = LOSS_LIMIT) -> np.ndarray:
    """Pixels bool [H, W] of the clusters whose loss exceeds `limit`, before tidying."""
    chosen = np.zeros(labels.shape, bool)
    inside = labels >= 0
    chosen[inside] = (losses.total > limit)[labels[inside]]
    return chosen


def refine_released(clip: RefinementClip) -> torch.Tensor:
    """Refined masks bool [S, H, W]: coarse pixels whose cluster other frames do not explain.

    Pixels can only be lost, but for the tidying of the edges. Frames with few candidates get as
    many clusters as candidates, frames with none stay empty.
    """
    points = clip.points()
    return _judge(clip, points, candidate_labels(clip, points), None)


def refine_robust(clip: RefinementClip) -> torch.Tensor:
    """The same with residuals weighted by the depth's confidence, and sparse points left out.

    A point is sparse when fewer than 5 others lie within the reach of 3 pixels at its depth.
    ValueError without `clip.confidence`.
    """
    if clip.confidence is None:
        raise ValueError('robust refinement weighs by confidence; give the clip its confidence')
    points = clip.points()
    focal = clip.intrinsics[:, 0, 0].to(clip.depth.dtype)
    reach = (REACH_PIXELS * clip.depth / focal[:, None, None]).flatten(1).double().cpu().numpy()
    cells = iter(reach)
    labels = candidate_labels(clip, points, lambda cloud: radius_inliers(cloud, next(cells)))
    return _judge(clip, points, labels, 1 - 1 / clip.confidence)


def _judge(
    clip: RefinementClip, points: torch.Tensor, labels: np.ndarray, weight: torch.Tensor | None
) -> torch.Tensor:
    refined = np.zeros(labels.shape, bool)
    for cell, of_cell in enumerate(labels):
        of_tensor = torch.from_numpy(of_cell).to(points.device)
        losses = cluster_losses(clip, points, of_tensor, cell, weight)
        refined[cell] = tidy(select(of_cell, losses))
    return torch.from_numpy(refined).to(clip.mask.device)

"""Mask refinement by the projection gradient, as VGGT4D's paper describes it (C.5, C.11)."""

from __future__ import annotations

from fourd_perception.motion.otsu import histogram, multi_otsu
from fourd_perception.motion.refine_released import (
    candidate_labels,
    FEWEST_USABLE,
    MOST_OTHERS,
    tidy,
)
from fourd_perception.motion.refinement_clip import look_up, project, RefinementClip
import numpy as np
import torch
import torch.nn.functional as F

COLOUR_WEIGHT = 1 / 3  # lambda
STEEPEST = 0.05  # relative depth step per pixel, above which a surface counts as an edge
VISIBLE = 1.01  # z may exceed the surface by this factor
LOWEST_THRESHOLD = 0.02  # of depth


def depth_gradient(depth: torch.Tensor) -> torch.Tensor:
    """Central differences [S, 2, H, W] (along u, along v) of depth [S, H, W], per pixel."""
    padded = F.pad(depth[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]
    along_u = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    along_v = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    return torch.stack([along_u, along_v], dim=1)


def residual_gradient_norm(
    camera: torch.Tensor, gradient: torch.Tensor, focal: torch.Tensor
) -> torch.Tensor:
    """|grad_X r| [n, N] of r = z - D(u, v) with respect to the point.

    grad_X r = R^T (e_z - J^T grad D), whose length the rotation leaves alone; J is the Jacobian
    of the projection. camera [n, N, 3]: the point in the camera; gradient [n, 2, N]: of the depth
    map at its pixel; focal [n, 2]: f_x, f_y in pixels
    """
    x, y, z = camera.unbind(-1)
    a = focal[:, 0, None] / z * gradient[:, 0]
    b = focal[:, 1, None] / z * gradient[:, 1]
    along_z = 1 + (a * x + b * y) / z
    return (a.square() + b.square() + along_z.square()).sqrt()


def cluster_scores(
    clip: RefinementClip,
    points: torch.Tensor,
    slopes: torch.Tensor,
    labels: torch.Tensor,
    cell: int,
    most_others: int = MOST_OTHERS,
) -> np.ndarray:
    """Score float64 [K] of each cluster of one frame; infinite where too little is seen.

    The mean over its points of agg_proj + lambda agg_photo, each the mean over the frames of other
    instants that see the point on something static. slopes: `depth_gradient` of the clip
    """
    chosen = labels >= 0
    member = labels[chosen]
    count = int(member.max()) + 1 if len(member) else 0
    others = list(clip.others(cell, most_others))
    if not count or not others:
        return np.full(count, np.inf)
    seen = project(clip, points[cell][chosen], others)
    depth = look_up(clip.depth[others, None], seen.pixel, 'bilinear')[:, 0]
    slope = look_up(slopes[others], seen.pixel, 'nearest')
    dynamic = look_up(clip.mask[others, None].float(), seen.pixel, 'bilinear')[:, 0] > 0.5
    z = seen.camera[..., 2]
    flat = slope.norm(dim=1) < STEEPEST * depth
    usable = seen.inside & ~dynamic & flat & (z < VISIBLE * depth)
    colour = look_up(clip.images[others], seen.pixel, 'bilinear')
    contrast = (clip.images[cell][:, chosen][None] - colour).norm(dim=1)
    focal = clip.intrinsics[others][:, [0, 1], [0, 1]].to(z.dtype)
    projection = ((z - depth) / z).abs() * residual_gradient_norm(seen.camera, slope, focal)
    error = torch.where(usable, projection + COLOUR_WEIGHT * contrast, 0.0).double()
    views = usable.double().sum(0)
    score = error.sum(0) / views.clamp(min=1)
    sums = torch.zeros(3, count, dtype=torch.float64, device=z.device)
    seen_once = (views > 0).double()
    sums.index_add_(1, member, torch.stack([score, seen_once, views]))
    total, sizes, pairs = sums.cpu().numpy()
    size = np.bincount(member.cpu().numpy(), minlength=count)
    too_few = (pairs < FEWEST_USABLE * len(others) * size) | (sizes == 0)
    return np.where(too_few, np.inf, total / np.maximum(sizes, 1))


def score_threshold(scores: np.ndarray) -> float:
    """Otsu's threshold of a clip's finite cluster scores, not under 2 % of depth.

    Taken over their logarithms: scores span orders of magnitude, and the fastest mover alone
    would set a threshold that the others stay under.
    """
    logarithms = np.log(scores[np.isfinite(scores) & (scores > 0)])
    if len(np.unique(logarithms)) < 2:
        return LOWEST_THRESHOLD
    cut = multi_otsu(histogram(torch.from_numpy(logarithms)), 2)[0]
    return max(LOWEST_THRESHOLD, float(np.exp(cut)))


def refine_paper(clip: RefinementClip) -> torch.Tensor:
    """Refined masks bool [S, H, W]: clusters whose score exceeds one threshold of the clip."""
    points, slopes = clip.points(), depth_gradient(clip.depth)
    labels = candidate_labels(clip, points)
    scores = [
        cluster_scores(clip, points, slopes, torch.from_numpy(of_cell).to(points.device), cell)
        for cell, of_cell in enumerate(labels)
    ]
    threshold = score_threshold(np.concatenate(scores))
    refined = np.zeros(labels.shape, bool)
    for cell, of_cell in enumerate(labels):
        inside = of_cell >= 0
        chosen = np.zeros(of_cell.shape, bool)
        chosen[inside] = (scores[cell] > threshold)[of_cell[inside]]
        refined[cell] = tidy(chosen)
    return torch.from_numpy(refined).to(clip.mask.device)

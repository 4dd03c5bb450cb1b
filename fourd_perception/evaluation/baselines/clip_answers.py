"""The answers of all baselines to one clip."""

from __future__ import annotations

from fourd_perception.evaluation.baselines.dis_flow import dis_flow
from fourd_perception.evaluation.baselines.essential_pose import (
    essential_pose,
    Match,
    matched_features,
    tracked_corners,
)
from fourd_perception.evaluation.baselines.homography_mask import homography_mask
from fourd_perception.evaluation.baselines.mean_depth import mean_depth
from fourd_perception.evaluation.clip_scores import Answer
from fourd_perception.geometry.clips import Clips
import numpy as np

MEAN_IMAGE, CONSTANT, ZERO_FLOW, DIS = 'mean image', 'constant', 'zero flow', 'DIS'
HOMOGRAPHY, KLT, SIFT = 'DIS - homography', 'KLT + essential', 'SIFT + essential'


def baseline_answers(clip: Clips) -> dict[str, Answer]:
    """What each method that learns nothing says of one clip (a batch of one), by its name."""
    images = clip.images[0].permute(0, 1, 3, 4, 2).contiguous().cpu().numpy()
    forward, dynamic = _flow_and_masks(images, clip.present[0].cpu().numpy())
    depth = np.broadcast_to(mean_depth(images.shape[2:4]), images.shape[:-1])
    return {
        MEAN_IMAGE: Answer(depth=depth),
        CONSTANT: Answer(depth=np.ones(images.shape[:-1])),
        ZERO_FLOW: Answer(flow_forward=np.zeros_like(forward)),
        DIS: Answer(flow_forward=forward),
        HOMOGRAPHY: Answer(dynamic=dynamic),
        KLT: Answer(newer_from_older=_poses(images, clip, tracked_corners)),
        SIFT: Answer(newer_from_older=_poses(images, clip, matched_features)),
    }


def _flow_and_masks(images: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow [V, T, 2, H, W] to the next instant, and what moves by it bool [V, T, H, W].

    Motion is that to the next instant, else to the one before. Without a neighbour there is none.
    """
    views, times, height, width, _ = images.shape
    forward = np.zeros((views, times, 2, height, width), np.float32)
    dynamic = np.zeros((views, times, height, width), bool)
    for view, time in np.argwhere(present).tolist():
        near = [t for t in (time + 1, time - 1) if 0 <= t < times and present[view, t]]
        if not near:
            continue
        flow = dis_flow(images[view, time], images[view, near[0]])
        dynamic[view, time] = homography_mask(flow)
        if near[0] > time:
            forward[view, time] = np.moveaxis(flow, -1, 0)
    return forward, dynamic


def _poses(images: np.ndarray, clip: Clips, match: Match) -> np.ndarray:
    """newer_from_older [V, T - 1, 4, 4] of all neighbours; NaN where none is found."""
    views, times = images.shape[:2]
    intrinsics = clip.intrinsics[0].double().cpu().numpy()
    found = np.full((views, times - 1, 4, 4), np.nan)
    for view in range(views):
        for time in range(times - 1):
            pair = images[view, time], images[view, time + 1]
            matrices = intrinsics[view, time], intrinsics[view, time + 1]
            if np.isfinite(matrices).all():
                pose = essential_pose(*pair, *matrices, match)
                if pose is not None:
                    found[view, time] = pose
    return found

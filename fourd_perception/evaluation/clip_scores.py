"""Scores of what a method says of one clip, against the clip's truth; and of many clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fourd_perception.evaluation.metrics import (
    abs_rel,
    delta,
    endpoint_error,
    mask_iou,
    median_scale,
)
from fourd_perception.evaluation.pose_pairs import area_under_curve, pair_errors, relative_poses
from fourd_perception.geometry.clips import Clips, DYNAMIC, IGNORED, VISIBLE
import numpy as np

# Pixels, of the true flow.
FLOW_BINS = ((0.0, 1.0), (1.0, 4.0), (4.0, 12.0), (12.0, float('inf')))
# Share of an image's pixels that must move for its IoU to say anything.
MOVING_SHARE = 1e-3
# Least length of a translation whose direction is scored, in median depths of the older image.
LEAST_BASELINE = 0.02


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says of one clip; None of what it does not speak of. One scale a clip.

    depth:            float [V, T, H, W]
    dynamic:          bool [V, T, H, W]
    flow_forward:     float [V, T, 2, H, W], pixels; of the last instant it says nothing
    newer_from_older: float64 [V, T - 1, 4, 4]; NaN where the method found none
    """

    depth: np.ndarray | None = None
    dynamic: np.ndarray | None = None
    flow_forward: np.ndarray | None = None
    newer_from_older: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Score:
    """What was found, of one clip or of many.

    sums:  by metric, the sum over what was compared, and of how much
    pairs: float64 [N, 2], `pair_errors` of the images whose relative pose counts
    """

    sums: Mapping[str, tuple[float, int]]
    pairs: np.ndarray

    @cached_property
    def values(self) -> dict[str, float]:
        """Means by metric, then medians and area of the poses; only of what was compared.

        abs_rel, delta: of depth; epe_0_1 and so on: endpoint error by length of the true flow,
        epe_visible_0_1 of what can be seen in both images; iou: of images in which something
        moves; false_positive: share of the pixels of images in which nothing does; rotation,
        direction: median, degrees; auc_30: percent.
        """
        found = {name: total / count for name, (total, count) in self.sums.items() if count}
        if len(self.pairs):
            rotation, direction = np.median(self.pairs, axis=0).tolist()
            area = area_under_curve(self.pairs.max(axis=1))
            found.update(rotation=rotation, direction=direction, auc_30=area)
        return found

    def count(self, metric: str) -> int:
        """Pixels, images or pairs of images that the value was taken of."""
        return len(self.pairs) if metric in POSE_METRICS else self.sums.get(metric, (0.0, 0))[1]


POSE_METRICS = ('rotation', 'direction', 'auc_30')


def flow_metric(low: float, high: float, visible: bool = False) -> str:
    """The name of a bin's metric, such as `epe_4_12`, `epe_visible_12_inf`."""
    return f'epe_{"visible_" if visible else ""}{low:g}_{high:g}'


def pooled(scores: Iterable[Score]) -> Score:
    """The score of all clips together: every pixel, image and pair of images counts alike."""
    sums: dict[str, tuple[float, int]] = {}
    pairs = [np.empty((0, 2))]
    for score in scores:
        for name, (total, count) in score.sums.items():
            before = sums.get(name, (0.0, 0))
            sums[name] = before[0] + total, before[1] + count
        pairs.append(score.pairs)
    return Score(sums, np.concatenate(pairs))


def score_answer(answer: Answer, clip: Clips) -> Score:
    """Score one clip (a batch of one); depth after one alignment of the whole clip."""
    sums: dict[str, tuple[float, int]] = {}
    present = clip.present[0].cpu().numpy()
    if answer.depth is not None:
        sums.update(_depth(answer.depth, clip, present))
    if answer.flow_forward is not None:
        sums.update(_flow(answer.flow_forward, clip, present))
    if answer.dynamic is not None:
        sums.update(_masks(answer.dynamic, clip, present))
    pairs = np.empty((0, 2))
    if answer.newer_from_older is not None:
        pairs = _poses(answer.newer_from_older, clip, present)
    return Score(sums, pairs)


def _depth(
    predicted: np.ndarray, clip: Clips, present: np.ndarray
) -> Mapping[str, tuple[float, int]]:
    truth = clip.depth[0].cpu().numpy()
    valid = np.isfinite(truth) & present[..., None, None]
    if not valid.any():
        return {}
    scaled = predicted * median_scale(predicted, truth, valid)
    count = int(valid.sum())
    return {
        'abs_rel': (count * abs_rel(scaled, truth, valid), count),
        'delta': (count * delta(scaled, truth, valid), count),
    }


def _flow(
    predicted: np.ndarray, clip: Clips, present: np.ndarray
) -> Mapping[str, tuple[float, int]]:
    truth = np.moveaxis(clip.flow_forward[0, :, :-1].cpu().numpy(), 2, -1)
    visible = (clip.occluded_forward[0, :, :-1] == VISIBLE).cpu().numpy()
    both = (present[:, :-1] & present[:, 1:])[..., None, None]
    valid = np.isfinite(truth).all(axis=-1) & both
    if not valid.any():
        return {}
    errors = endpoint_error(np.moveaxis(predicted[:, :-1], 2, -1), truth, valid)
    length, seen = np.hypot(*truth[valid].T), visible[valid]
    found = {}
    for low, high in FLOW_BINS:
        inside = (length >= low) & (length < high)
        for is_visible, chosen in ((False, inside), (True, inside & seen)):
            name = flow_metric(low, high, is_visible)
            found[name] = float(errors[chosen].sum()), int(chosen.sum())
    return found


def _masks(
    predicted: np.ndarray, clip: Clips, present: np.ndarray
) -> Mapping[str, tuple[float, int]]:
    truth = clip.dynamic[0].cpu().numpy()
    overlap, images, false, still = 0.0, 0, 0, 0
    for cell in zip(*np.nonzero(present)):
        known, moving = truth[cell] != IGNORED, truth[cell] == DYNAMIC
        if moving.sum() >= MOVING_SHARE * moving.size:
            overlap += mask_iou(predicted[cell], moving, known)
            images += 1
        elif not moving.any():
            false += int((predicted[cell] & known).sum())
            still += int(known.sum())
    return {'iou': (overlap, images), 'false_positive': (float(false), still)}


def _poses(predicted: np.ndarray, clip: Clips, present: np.ndarray) -> np.ndarray:
    truth = relative_poses(clip.world_from_camera[0].double().cpu().numpy())
    depth = clip.depth[0].flatten(-2).nanmedian(-1).values.cpu().numpy()[:, :-1]
    with np.errstate(invalid='ignore'):
        far = np.linalg.norm(truth[..., :3, 3], axis=-1) >= LEAST_BASELINE * depth
    chosen = far & present[:, :-1] & present[:, 1:]
    return pair_errors(predicted[chosen], truth[chosen])

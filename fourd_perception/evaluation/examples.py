"""What is shown of an evaluation: single images and what was said of them."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.evaluation.clip_scores import Answer
from fourd_perception.geometry.clips import Clips, DYNAMIC
import numpy as np


@dataclass(frozen=True, eq=False)
class Example:
    """One image [h, w, 3] and its depth [h, w], what moves [h, w], flow [h, w, 2], if known.

    longest: pixels at which the flow's colours are full; None: as suits the flow
    """

    name: str
    image: np.ndarray
    depth: np.ndarray | None = None
    dynamic: np.ndarray | None = None
    flow: np.ndarray | None = None
    longest: float | None = None


def truth_of(clip: Clips) -> Answer:
    """The truth of one clip (a batch of one) in the form of an answer."""
    return Answer(
        depth=clip.depth[0].cpu().numpy(),
        dynamic=(clip.dynamic[0] == DYNAMIC).cpu().numpy(),
        flow_forward=clip.flow_forward[0].cpu().numpy(),
    )


def example_of(name: str, clip: Clips, answer: Answer) -> Example:
    """The first view's first image, and an answer to it, its flow painted as the true one."""
    true_length = clip.flow_forward[0, 0, 0].norm(dim=0)
    longest = float(true_length.nan_to_num(0.0).flatten().quantile(0.95))
    return shown(name, clip.images[0, 0, 0].permute(1, 2, 0).cpu().numpy(), answer, 0, longest)


def shown(
    name: str, image: np.ndarray, answer: Answer, view: int, longest: float | None = None
) -> Example:
    """An image uint8 [h, w, 3], the first one of a view, with what an answer says of it."""
    flow = answer.flow_forward
    return Example(
        name,
        image,
        None if answer.depth is None else answer.depth[view, 0],
        None if answer.dynamic is None else answer.dynamic[view, 0],
        None if flow is None else np.moveaxis(flow[view, 0], 0, -1),
        None if longest is None else max(longest, 1.0),
    )

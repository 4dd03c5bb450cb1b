"""The recorded outputs of a replay against the synthetic recording that was played."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fourd_perception.engine.network_size import lay_out, network_size
from fourd_perception.evaluation.checks import Check
from fourd_perception.evaluation.fused import score_fused
from fourd_perception.evaluation.images import ImageScorer
from fourd_perception.evaluation.network_images import NetworkScorer
from fourd_perception.evaluation.outputs import Outputs
from fourd_perception.evaluation.rig import (
    score_poses,
    score_stamps,
    score_trajectory,
    score_transforms,
)
from fourd_perception.evaluation.true_images import INPUT_MARGIN, Seen, TrueImages
from fourd_perception.synthetic.recording import SyntheticRecording

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoredNode:
    """What scoring must know of the node: parameters, named as there, and the network's patch."""

    patch: int
    output_size: str
    pixel_budget: int
    window_length: int
    window_max_gap: float
    world_frame: str
    base_frame: str


@dataclass(frozen=True)
class Scores:
    """The table of accuracy, and in words which pixels are not in it."""

    checks: list[Check]
    left_out: str


def score(
    outputs: Outputs,
    recording: SyntheticRecording,
    node: ScoredNode,
    progress: Progress = lambda done, total: None,
) -> Scores:
    """The table of accuracy; every pixel, point, pose and stamp counts unless `left_out` tells.

    Limits are those that a replay with truth: weights must keep. Raises ValueError when depth was
    not recorded, and UnknownStamp for outputs of another recording.
    """
    images, slices = _recorded(outputs, recording, node)
    scorer = ImageScorer(images)
    work = [partial(scorer.add, seen) for one in slices for seen in one]
    _carry_out(work, scorer.add_flow, images, progress)
    checks = [
        *scorer.tallies.checks(),
        *score_fused(images, slices, node.base_frame),
        *score_transforms(outputs, recording, node.world_frame),
        *score_poses(outputs, recording),
        score_stamps(outputs, recording),
    ]
    return Scores(checks, _left_out(images))


def score_network(
    outputs: Outputs,
    recording: SyntheticRecording,
    node: ScoredNode,
    metric: bool,
    progress: Progress = lambda done, total: None,
) -> Scores:
    """The table of a network, whose errors have no limit: means, and shapes apart from scale.

    metric: whether lengths are metres, so that there is a scale to be wrong
    Limits are of what holds for any weights: stamps, and TF as a tree. Raises as `score`.
    """
    images, slices = _recorded(outputs, recording, node)
    scorer = NetworkScorer(images, metric)
    work = [partial(scorer.add, one) for one in slices]
    _carry_out(work, scorer.add_flow, images, progress)
    checks = [
        *scorer.tallies.checks(),
        *score_trajectory(outputs, recording, node.world_frame),
        score_stamps(outputs, recording),
    ]
    return Scores(checks, _left_out(images))


def _recorded(
    outputs: Outputs, recording: SyntheticRecording, node: ScoredNode
) -> tuple[TrueImages, list[list[Seen]]]:
    """What is compared, and the inferred slices; ValueError where there are none."""
    images = TrueImages(
        outputs,
        recording,
        margin=0 if node.output_size == 'network' else INPUT_MARGIN,
        network_scale=_network_scales(recording, node),
    )
    slices = inferred_slices(
        {name: outputs.stamps(f'{name}/depth/image_rect') for name in recording.cameras},
        recording,
        node.window_length,
        node.window_max_gap,
    )
    if not slices:
        raise ValueError('no depth was recorded, so there is nothing to score')
    return images, slices


def _carry_out(
    slices: Sequence[Callable[[], None]],
    add_flow: Callable[[str, int], None],
    images: TrueImages,
    progress: Progress,
) -> None:
    """Score the slices, then every flow."""
    work = list(slices) + [
        partial(add_flow, name, stamp)
        for name in images.recording.cameras
        for stamp in images.outputs.stamps(f'{name}/flow')
    ]
    for done, add in enumerate(work):
        add()
        progress(done, len(work))


def _left_out(images: TrueImages) -> str:
    text = f'Pixels left out: {images.left_out}.'
    if images.margin == 0:
        return text
    return (
        f'{text} Outputs of this size are interpolated, so edges count with {images.margin} px '
        'around them, and distances of fused clouds, whose points do not tell how near to an '
        'edge they were seen, have no limit.'
    )


def inferred_slices(
    stamps: Mapping[str, Sequence[int]],
    recording: SyntheticRecording,
    length: int,
    max_gap: float,
) -> list[list[Seen]]:
    """What was inferred, slice by slice, from the stamps recorded of every camera.

    The window holds the last `length` inferred slices, and a gap above `max_gap` (s) empties it.
    Frames of one trigger are one slice: they have the same place in the lists of their cameras.
    """
    slices: dict[int, dict[str, int]] = {}
    for name, own in stamps.items():
        places = {stamp: i for i, stamp in enumerate(recording.stamps(name))}
        for stamp in own:
            if stamp in places:  # what is not is for `score_stamps`
                slices.setdefault(places[stamp], {})[name] = stamp
    found: list[list[Seen]] = []
    window: list[dict[str, int]] = []
    for trigger in sorted(slices):
        newest = slices[trigger]
        if window and min(newest.values()) - min(window[-1].values()) > max_gap * 1e9:
            window = []
        window = [*window, newest][-length:]
        found.append(
            [
                Seen(name, stamp, tuple(older[name] for older in window[:-1] if name in older))
                for name, stamp in newest.items()
            ]
        )
    return found


def _network_scales(recording: SyntheticRecording, node: ScoredNode) -> dict[str, float]:
    sizes = {name: (camera.width, camera.height) for name, camera in recording.cameras.items()}
    network = network_size(sizes.values(), node.patch, node.pixel_budget)
    return {name: lay_out(size, network).width / size[0] for name, size in sizes.items()}

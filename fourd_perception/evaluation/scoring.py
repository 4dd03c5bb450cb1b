"""The recorded outputs of a replay against the synthetic recording that was played."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fourd_perception.engine.network_size import lay_out, network_size
from fourd_perception.evaluation.checks import Check
from fourd_perception.evaluation.images import ImageScorer, INPUT_MARGIN
from fourd_perception.evaluation.outputs import Outputs
from fourd_perception.evaluation.rig import (
    score_fused,
    score_poses,
    score_stamps,
    score_transforms,
)
from fourd_perception.synthetic.recording import SyntheticRecording

PATCH = 14


@dataclass(frozen=True)
class ScoredNode:
    """What scoring must know of the node's parameters (named as there)."""

    output_size: str
    pixel_budget: int
    window_length: int
    window_max_gap: float
    world_frame: str
    base_frame: str


def score(
    outputs: Outputs,
    recording: SyntheticRecording,
    node: ScoredNode,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Check]:
    """The table of accuracy; every pixel, point, pose and stamp that was recorded counts.

    Limits are those that a replay with truth: weights must keep. Raises ValueError when depth was
    not recorded, and UnknownStamp for outputs of another recording.
    """
    images = ImageScorer(
        outputs,
        recording,
        margin=0 if node.output_size == 'network' else INPUT_MARGIN,
        network_scale=_network_scales(recording, node.pixel_budget),
    )
    windows = inferred_windows(
        {name: outputs.stamps(f'{name}/depth/image_rect') for name in recording.cameras},
        recording,
        node.window_length,
        node.window_max_gap,
    )
    if not windows:
        raise ValueError('no depth was recorded, so there is nothing to score')
    work = [partial(images.add, *window) for window in windows]
    work += [
        partial(images.add_flow, name, stamp)
        for name in recording.cameras
        for stamp in outputs.stamps(f'{name}/flow')
    ]
    for done, add in enumerate(work):
        add()
        progress(done, len(work))
    return [
        *images.tallies.checks(),
        *score_fused(outputs, recording, node.base_frame, images.margin),
        *score_transforms(outputs, recording, node.world_frame),
        *score_poses(outputs, recording),
        score_stamps(outputs, recording),
    ]


def inferred_windows(
    stamps: Mapping[str, Sequence[int]],
    recording: SyntheticRecording,
    length: int,
    max_gap: float,
) -> list[tuple[str, int, list[int]]]:
    """(camera, stamp, its other stamps in the window) of everything that was inferred.

    The window holds the last `length` inferred slices, and a gap above `max_gap` (s) empties it.
    Frames of one trigger are one slice: they have the same place in the lists of their cameras.
    """
    slices: dict[int, dict[str, int]] = {}
    for name, own in stamps.items():
        places = {stamp: i for i, stamp in enumerate(recording.stamps(name))}
        for stamp in own:
            if stamp in places:  # what is not is for `score_stamps`
                slices.setdefault(places[stamp], {})[name] = stamp
    found: list[tuple[str, int, list[int]]] = []
    window: list[dict[str, int]] = []
    for trigger in sorted(slices):
        newest = slices[trigger]
        if window and min(newest.values()) - min(window[-1].values()) > max_gap * 1e9:
            window = []
        window = [*window, newest][-length:]
        for name, stamp in newest.items():
            others = [older[name] for older in window[:-1] if name in older]
            found.append((name, stamp, others))
    return found


def _network_scales(recording: SyntheticRecording, pixel_budget: int) -> dict[str, float]:
    sizes = {name: (camera.width, camera.height) for name, camera in recording.cameras.items()}
    network = network_size(sizes.values(), PATCH, pixel_budget)
    return {name: lay_out(size, network).width / size[0] for name, size in sizes.items()}

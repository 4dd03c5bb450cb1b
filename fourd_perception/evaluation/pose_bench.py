"""How well motions are solved from depth and flow that are off: a Monte Carlo trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import time

from fourd_perception.evaluation.pose_pairs import pair_errors
from fourd_perception.evaluation.pose_scenes import (
    pose_pairs,
    PosePairs,
    rotation_by,
    smooth_field,
)
from fourd_perception.geometry.pose_from_flow import MotionSettings, solve_motion, SolvedMotion
from fourd_perception.geometry.sightings import Sightings, thin_sightings
import numpy as np
import torch

START = 2.0  # degrees that the start is off; it translates in a direction of its own
DEPTH_CELLS, FLOW_CELLS = 6, 16  # across the image, within which errors go together
SMOOTH_FLOW = 0.5  # share of the variance of the flow's error that is smooth
BATCH = 25
HEADING = (
    '| baseline | depth error | flow error | movers | in the mask | method | rotation | direction '
    '| length | normalised |\n'
    '| ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |'
)
# How motions are solved: settings, and whether flow is read both ways.
METHODS = {
    'depth believed, one way': (MotionSettings(depth_error=0.0), False),
    'one way': (MotionSettings(), False),
    'both ways': (MotionSettings(), True),
}


@dataclass(frozen=True)
class Trial:
    """What is measured.

    baseline:    translation, in median depths
    depth_error: relative, smooth over a sixth of the image
    flow_error:  pixels (one component), half of its variance smooth
    movers:      share of the image that moves on its own
    masked:      share of their pixels that the mask knows of, in patches
    movers_nearest: whether nothing is nearer than they are; else they hang amid the rest
    size:        height and width of the images
    """

    baseline: float = 0.05
    depth_error: float = 0.2
    flow_error: float = 1.0
    movers: float = 0.25
    masked: float = 0.0
    movers_nearest: bool = False
    size: tuple[int, int] = (168, 224)


TRIALS = (
    Trial(),
    Trial(masked=0.8),
    Trial(flow_error=0.3),
    Trial(flow_error=0.3, masked=0.8),
    Trial(flow_error=0.3, baseline=0.02),
    Trial(flow_error=0.3, baseline=0.02, masked=0.8),
    Trial(baseline=0.02, masked=0.8),
    Trial(movers_nearest=True),
    Trial(movers_nearest=True, masked=0.8),
    Trial(flow_error=0.1, depth_error=0.0),
)


@dataclass(frozen=True, eq=False)
class Outcome:
    """Of one trial by one method, pair by pair.

    rotation, direction: errors, degrees
    length:     found over true length of the translation
    normalised: squared error over its covariance, over its six dimensions: 1 in the mean where
                the covariance tells the truth
    seconds:    of the processor, for one pair
    """

    rotation: np.ndarray
    direction: np.ndarray
    length: np.ndarray
    normalised: np.ndarray
    seconds: float


def bench_pose(count: int, seed: int = 0) -> Iterator[str]:
    """The table, line by line: medians and, in brackets, what nine of ten pairs keep."""
    yield HEADING
    seconds: dict[str, list[float]] = {method: [] for method in METHODS}
    for trial in TRIALS:
        for method, outcome in run_trial(trial, count, seed).items():
            seconds[method].append(outcome.seconds)
            yield _line(trial, method, outcome)
    times = (f'{method} {1e3 * np.median(s):.0f} ms' for method, s in seconds.items())
    yield f'\nTime of the processor for a pair: {", ".join(times)}.'


def run_trial(
    trial: Trial, count: int, seed: int, methods: Sequence[str] = tuple(METHODS)
) -> dict[str, Outcome]:
    """Solve the same `count` drawn pairs by each method."""
    found: dict[str, list[SolvedMotion]] = {method: [] for method in methods}
    seconds, truth = dict.fromkeys(methods, 0.0), []
    for first in range(0, count, BATCH):
        pairs = pose_pairs(
            min(BATCH, count - first),
            seed + first,
            trial.size,
            trial.baseline,
            trial.movers,
            (0.7, 1.0) if trial.movers_nearest else (1.5, 3.0),
        )
        truth.append(pairs.older_from_newer)
        generator = torch.Generator().manual_seed(seed + first)
        older, newer = sighted(pairs, trial, generator)
        start = _start(pairs, generator)
        for method in methods:
            settings, both = METHODS[method]
            began = time.process_time()
            found[method].append(solve_motion(older, start, newer if both else None, settings))
            seconds[method] += time.process_time() - began
    true = torch.cat(truth).numpy()
    return {m: _outcome(found[m], true, seconds[m] / count) for m in methods}


def sighted(
    pairs: PosePairs, trial: Trial, generator: torch.Generator
) -> tuple[Sightings, Sightings]:
    """What is seen of the pairs at either instant, with the errors of the trial."""
    count = len(pairs.depth)
    # One error for both instants: networks are wrong about surfaces.
    wrong = (
        trial.depth_error * smooth_field(generator, (count, 1), trial.size, DEPTH_CELLS)
    ).exp()
    smooth = smooth_field(generator, (count, 2, 2), trial.size, FLOW_CELLS)
    rough = torch.randn(smooth.shape, generator=generator)
    noise = SMOOTH_FLOW**0.5 * smooth + (1 - SMOOTH_FLOW) ** 0.5 * rough
    flow = pairs.flow + trial.flow_error * noise
    rank = smooth_field(generator, (count, 2), trial.size, DEPTH_CELLS)
    rank = torch.where(pairs.moving, rank, torch.nan).flatten(2)
    limit = rank.nanquantile(trial.masked, dim=2, keepdim=True)
    weights = 1 - (rank < limit).float().unflatten(2, trial.size)
    intrinsics = pairs.intrinsics.expand(count, 1, 3, 3)
    older, newer = (
        thin_sightings(
            (pairs.depth * wrong)[:, at, None],
            flow[:, at, None],
            weights[:, at, None],
            intrinsics,
            intrinsics,
        )
        for at in (0, 1)
    )
    return older, newer


def _start(pairs: PosePairs, generator: torch.Generator) -> torch.Tensor:
    """What a head might say: turned by `START`, of the right length but no right direction."""
    count = len(pairs.depth)
    ways = torch.randn(count, 2, 3, generator=generator, dtype=torch.float64)
    turn, way = (ways / ways.norm(dim=2, keepdim=True)).unbind(1)
    start = pairs.older_from_newer.clone()
    start[:, :3, :3] = rotation_by(START * turn) @ start[:, :3, :3]
    start[:, :3, 3] = start[:, :3, 3].norm(dim=1, keepdim=True) * way
    return start


def _outcome(found: list[SolvedMotion], true: np.ndarray, seconds: float) -> Outcome:
    motions = torch.cat([f.older_from_newer for f in found]).numpy()
    known = torch.cat([f.covariance for f in found]).numpy()
    rotation, direction = pair_errors(motions, true).T
    turn = motions[:, :3, :3] @ true[:, :3, :3].transpose(0, 2, 1)
    skew = turn - turn.transpose(0, 2, 1)
    off = np.concatenate(
        [motions[:, :3, 3] - true[:, :3, 3], skew[:, [2, 0, 1], [1, 2, 0]] / 2], axis=1
    )
    lengths = [np.linalg.norm(m[:, :3, 3], axis=1) for m in (motions, true)]
    normalised = (off * np.linalg.solve(known, off[..., None])[..., 0]).mean(axis=1)
    return Outcome(rotation, direction, lengths[0] / lengths[1], normalised, seconds)


def _line(trial: Trial, method: str, outcome: Outcome) -> str:
    def spread(values: np.ndarray, digits: int) -> str:
        middle, most = np.nanquantile(values, (0.5, 0.9))
        return f'{middle:.{digits}f} ({most:.{digits}f})'

    conditions = (
        f'{trial.baseline:.0%}',
        f'{trial.depth_error:.0%}',
        f'{trial.flow_error:g} px',
        f'{trial.movers:.0%}{", nearest" * trial.movers_nearest}',
        f'{trial.masked:.0%}',
        method,
        f'{spread(outcome.rotation, 3)}°',
        f'{spread(outcome.direction, 2)}°',
        spread(outcome.length, 2),
        spread(outcome.normalised, 1),
    )
    return f'| {" | ".join(conditions)} |'

"""How good a predictor is on clips whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fourd_perception.engine.flow_sightings import solved_motions
from fourd_perception.evaluation.clip_grids import answer_of, clip_grid
from fourd_perception.evaluation.clip_scores import (
    Answer,
    pooled,
    POSE_METRICS,
    Score,
    score_answer,
)
from fourd_perception.geometry.clips import Clips
from fourd_perception.geometry.poses import invert
from fourd_perception.model.prediction import GridTensors, Predictor

NETWORK, SOLVED = 'network', 'solved'
Answers = Callable[[Clips], Mapping[str, Answer]]


def network_answers(predictor: Predictor, grid: GridTensors) -> dict[str, Answer]:
    """What a predictor says of a grid; poses of its own head, and solved where it gives flow."""
    prediction = predictor.predict(grid)
    answers = {NETWORK: answer_of(grid, prediction)}
    if prediction.flow_forward is not None:
        answers[SOLVED] = Answer(newer_from_older=invert(solved_motions(grid, prediction)))
    return answers


def score_clips(
    clips: Clips, *sources: Answers, progress: Callable[[float], None] = lambda _: None
) -> dict[str, Score]:
    """Scores by method over all clips; each source gives the answers of one method or more."""
    scores: dict[str, list[Score]] = {}
    for number in range(len(clips)):
        clip = clips[number : number + 1]
        for source in sources:
            for method, answer in source(clip).items():
                scores.setdefault(method, []).append(score_answer(answer, clip))
        progress((number + 1) / len(clips))
    return {method: pooled(found) for method, found in scores.items()}


def evaluate_clips(predictor: Predictor, *groups: Clips) -> dict[str, float]:
    """Errors of a predictor on clips, by the names of `Score.values`; for a training's validation.

    Each clip is one window; clips of a group have one shape, all groups are pooled. Poses are the
    head's; those solved from depth and flow, where the predictor gives both, are under
    `solved_rotation` and so on.
    """
    scores = [
        score_clips(g, lambda clip: network_answers(predictor, clip_grid(clip))) for g in groups
    ]
    found = dict(pooled(score[NETWORK] for score in scores).values)
    solved = pooled(score[SOLVED] for score in scores if SOLVED in score).values
    return found | {f'solved_{name}': solved[name] for name in POSE_METRICS if name in solved}

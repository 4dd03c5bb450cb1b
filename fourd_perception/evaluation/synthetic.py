"""A predictor on procedural clips of seeds that no training draws, beside classical methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fourd_perception.evaluation.baselines.clip_answers import baseline_answers
from fourd_perception.evaluation.clip_evaluation import NETWORK, network_answers
from fourd_perception.evaluation.clip_grids import clip_grid
from fourd_perception.evaluation.clip_scores import pooled, Score, score_answer
from fourd_perception.evaluation.examples import Example, example_of, truth_of
from fourd_perception.model.prediction import Predictor
from fourd_perception.synthetic.scenes import generate, SceneSpec
import numpy as np

SIZE = (192, 256)
INSTANTS = 4
# Views by setting; a window has four instants, as the node's.
VIEWS = {'hand_held': 1, 'rig': 4, 'still': 1, 'street': 2}
HELD_OUT = 'held_out'


@dataclass(frozen=True, eq=False)
class SyntheticScores:
    """Scores by group (a setting, or `HELD_OUT`) and method, and examples of each group."""

    groups: dict[str, dict[str, Score]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    @property
    def overall(self) -> dict[str, Score]:
        """By method, of the four settings together."""
        methods = next(iter(self.groups.values()))
        return {m: pooled(self.groups[setting][m] for setting in VIEWS) for m in methods}


def evaluate_synthetic(
    predictor: Predictor, seed: int, clips: int, progress: Callable[[float], None]
) -> SyntheticScores:
    """Score a predictor and all baselines on `clips` clips of each setting, at 256x192.

    The shapes and textures that are kept out of training make a group of their own. The same for
    the same seed.
    """
    scores = SyntheticScores()
    groups = list(specifications())
    for number, (group, spec) in enumerate(groups):
        found: dict[str, list[Score]] = {}
        for place, clip_seed in enumerate(unseen_seeds(seed, number, clips)):
            clip = generate([clip_seed], spec)
            answers = network_answers(predictor, clip_grid(clip)) | baseline_answers(clip)
            for method, answer in answers.items():
                found.setdefault(method, []).append(score_answer(answer, clip))
            if place == 0:
                scores.examples.extend(
                    [
                        example_of(f'{group}, {NETWORK}', clip, answers[NETWORK]),
                        example_of(f'{group}, truth', clip, truth_of(clip)),
                    ]
                )
            progress((number + (place + 1) / clips) / len(groups))
        scores.groups[group] = {method: pooled(some) for method, some in found.items()}
    return scores


def specifications() -> Iterator[tuple[str, SceneSpec]]:
    """The groups and what their clips are."""
    for setting, views in VIEWS.items():
        yield setting, SceneSpec(SIZE, views, INSTANTS, setting)
    yield HELD_OUT, SceneSpec(SIZE, 1, INSTANTS, 'mixed', held_out=True)


def unseen_seeds(seed: int, group: int, count: int) -> Sequence[int]:
    """Seeds below 2^31: trainings draw theirs above (`training.sample_seeds`)."""
    drawn = np.random.SeedSequence([seed, group]).generate_state(count)
    return [int(state >> 1) for state in drawn]


def values_by_method(scores: Mapping[str, Score], metric: str) -> dict[str, float]:
    """The values of one metric; methods that say nothing of it are left out."""
    return {m: s.values[metric] for m, s in scores.items() if metric in s.values}

"""Errors and pictures of a `fourd-small` on clips that no training draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourd_perception.evaluation.clip_evaluation import NETWORK, network_answers, score_clips
from fourd_perception.evaluation.clip_grids import clip_grid
from fourd_perception.evaluation.clip_scores import pooled
from fourd_perception.evaluation.examples import example_of, truth_of
from fourd_perception.geometry.clips import Clips
from fourd_perception.model.small.network import FourdSmall
from fourd_perception.model.small.predictor import SmallPredictor
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.viz.answer_sheet import answer_sheet
import numpy as np
import torch

# Views by setting; see `synthetic.scenes`.
SETTINGS = {'hand_held': 1, 'rig': 4, 'still': 1, 'street': 2}
INSTANTS = 4


def frozen_clips(size: tuple[int, int], budget: int, device: torch.device) -> list[Clips]:
    """About `budget` clips, the same in every call, as many of each setting."""
    each = -(-budget // len(SETTINGS))
    return [
        generate(range(each), SceneSpec(size, views, INSTANTS, setting), device)
        for setting, views in SETTINGS.items()
    ]


def predictor_of(network: FourdSmall) -> SmallPredictor:
    """A predictor around the network, which keeps its weights in float32."""
    device = network.camera_token.device
    return SmallPredictor(network, 'training', 'Apache-2.0', device=device, precision='fp32')


def clip_errors(network: FourdSmall, groups: Sequence[Clips]) -> Mapping[str, float]:
    """Errors by name over the clips of all groups; clips of one group have one shape."""
    predictor = predictor_of(network)
    scores = [
        score_clips(clips, lambda clip: network_answers(predictor, clip_grid(clip)))[NETWORK]
        for clips in groups
    ]
    return pooled(scores).values


def clip_pictures(network: FourdSmall, groups: Sequence[Clips]) -> Mapping[str, np.ndarray]:
    """The first clip of each group beside its truth, uint8 [H, W, 3]."""
    predictor, rows = predictor_of(network), []
    for number, clips in enumerate(groups):
        clip = clips[:1]
        answer = network_answers(predictor, clip_grid(clip))[NETWORK]
        rows += [
            example_of(f'clip {number}', clip, answer),
            example_of(f'clip {number}, truth', clip, truth_of(clip)),
        ]
    return {'clips': answer_sheet(rows, 'Validation clips')}

"""Errors and pictures of networks on clips that no training draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourd_perception.evaluation.clip_evaluation import evaluate_clips, NETWORK, network_answers
from fourd_perception.evaluation.clip_grids import clip_grid
from fourd_perception.evaluation.examples import example_of, truth_of
from fourd_perception.geometry.clips import Clips
from fourd_perception.model.network import Network
from fourd_perception.model.network_predictor import NetworkPredictor
from fourd_perception.model.prediction import Predictor
from fourd_perception.model.small.network import FourdSmall
from fourd_perception.model.small.predictor import SmallPredictor
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.synthetic.validation import frozen_settings, validation_clips
from fourd_perception.training.clip_crop import covering, cropped
from fourd_perception.viz.answer_sheet import answer_sheet
import numpy as np
from torch import nn

# Of the frozen set; what is kept out of training is left to the evaluation.
SETTINGS = ('hand_held', 'rig', 'still', 'street')
# Of the scenes of a training that has a few only.
INSTANTS = 4


class ClipValidation:
    """The frozen clips; or, for a training on a few scenes, these scenes."""

    def __init__(
        self, size: tuple[int, int], scenes: Sequence[int] = (), setting: str = 'mixed'
    ) -> None:
        """Clips of images (height, width).

        scenes: seeds of a training's few scenes, of that setting of `SceneSpec`
        """
        self._size, self._scenes, self._setting = size, scenes, setting
        self._kept: dict[int, list[Clips]] = {}

    def errors(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Errors by the names of `evaluate_clips`, over about `budget` clips."""
        return evaluate_clips(_predictor_of(network), *self._clips(budget))

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """A clip of each setting beside its truth, uint8 [H, W, 3]."""
        predictor, rows = _predictor_of(network), []
        for number, clips in enumerate(self._clips(len(SETTINGS))):
            clip = clips[:1]
            answer = network_answers(predictor, clip_grid(clip))[NETWORK]
            rows += [
                example_of(f'clip {number}', clip, answer),
                example_of(f'clip {number}, truth', clip, truth_of(clip)),
            ]
        return {'clips': answer_sheet(rows, 'Validation clips')}

    def _clips(self, budget: int) -> list[Clips]:
        """As many of each setting, evenly spaced, the same in every call; each of one shape."""
        if budget not in self._kept:
            size = covering(self._size)
            if self._scenes:
                spec = SceneSpec(size, 1, INSTANTS, self._setting)
                drawn = [generate(self._scenes[:budget], spec)]
            else:
                each = -(-budget // len(SETTINGS))
                drawn = [validation_clips(name, _spaced(name, each), size) for name in SETTINGS]
            self._kept[budget] = [cropped(clips, self._size) for clips in drawn]
        return self._kept[budget]


def _spaced(setting: str, count: int) -> list[int]:
    """Numbers of clips of a setting of the frozen set, evenly spaced."""
    clips = frozen_settings()[setting].clips
    count = min(count, clips)
    return [i * clips // count for i in range(count)]


def _predictor_of(network: nn.Module) -> Predictor:
    """A predictor around a network, whose weights stay in float32."""
    name, licence = 'training', ''
    device = next(network.parameters()).device
    if isinstance(network, FourdSmall):
        return SmallPredictor(network, name, licence, device=device, precision='fp32')
    assert isinstance(network, Network)
    return NetworkPredictor(network, name, licence, device=device, precision='fp32')

"""The task `flow`: the flow module alone, on layered pairs and on pairs of procedural scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from fourd_perception.evaluation.clip_evaluation import NETWORK, score_clips
from fourd_perception.evaluation.clip_scores import Answer, pooled
from fourd_perception.evaluation.examples import example_of, truth_of
from fourd_perception.geometry.clips import Clips, joined
from fourd_perception.model.heads.flow import FlowConfig, FlowModule
from fourd_perception.synthetic.layered_pairs import as_clips, layered_pairs
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.synthetic.texture_tiles import texture_tiles
from fourd_perception.training.clip_stages import check_stages, stage_at
from fourd_perception.training.flow_loss import flow_loss
from fourd_perception.training.seeded import choices
from fourd_perception.training.task import StepContext
from fourd_perception.viz.answer_sheet import answer_sheet
import numpy as np
import torch
from torch import nn

TILES = 256
TRAINING_TILES, HELD_OUT_TILES = 0, 1
# Settings of `SceneSpec` in which one camera sees something move.
HELD_OUT_SCENES = ('hand_held', 'street', 'still')


@dataclass(frozen=True)
class FlowStage:
    """One stretch of a training.

    until:   progress at which it ends, 0..1
    size:    (height, width), multiples of 16
    layered: share of the samples that are layered pairs; the rest are pairs of scenes
    """

    until: float = 1.0
    size: tuple[int, int] = (96, 128)
    layered: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.layered <= 1:
            raise ValueError(f'layered is {self.layered}; give a share from 0 to 1')
        SceneSpec(self.size)


@dataclass(frozen=True)
class FlowSettings:
    """What is trained, on what.

    scale_weight: of the loss of the log-scale beside that of the flow
    compiled:     draw scenes by compiled kernels: half a minute to begin, then twice as fast
    """

    network: FlowConfig = field(default_factory=FlowConfig)
    stages: tuple[FlowStage, ...] = (FlowStage(),)
    scale_weight: float = 0.02
    compiled: bool = False

    def __post_init__(self) -> None:
        check_stages(self.stages)

    def build(self, device: torch.device) -> FlowTask:
        """A drawn module and its pairs."""
        return FlowTask(FlowModule(self.network).to(device), self)


class FlowTask:
    """One flow module under training."""

    def __init__(self, network: FlowModule, settings: FlowSettings) -> None:
        self.network, self.settings = network, settings

    def losses(self, context: StepContext) -> Mapping[str, torch.Tensor]:
        """Of the flow and of its log-scale, each [n]: the mean of both directions."""
        stage = stage_at(self.settings.stages, context.progress)
        with torch.no_grad(), torch.autocast(context.device.type, enabled=False):
            clips = drawn_pairs(context.seeds, stage, context.device, self.settings.compiled)
        images = clips.images[:, 0].float() / 255
        estimates = self.network(images[:, 0], images[:, 1])
        with torch.autocast(context.device.type, enabled=False):
            there, back = (
                flow_loss(estimate, flow[:, 0, instant, None], hidden[:, 0, instant, None])
                for estimate, flow, hidden, instant in (
                    (estimates[0], clips.flow_forward, clips.occluded_forward, 0),
                    (estimates[1], clips.flow_backward, clips.occluded_backward, 1),
                )
            )
        return {
            'flow': 0.5 * (there[0] + back[0]),
            'flow_scale': 0.5 * self.settings.scale_weight * (there[1] + back[1]),
        }

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Of the image encoder."""
        return list(self.network.encoder.parameters())

    def validate(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Endpoint errors by length of the true flow, of layered pairs and of scenes."""
        assert isinstance(network, FlowModule)
        found = {}
        for name, clips in self._validation(budget).items():
            scores = [score_clips(c, lambda clip: flow_answers(network, clip)) for c in clips]
            values = pooled(score[NETWORK] for score in scores).values
            found.update({f'{name}_{metric}': value for metric, value in values.items()})
        return found

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """A layered pair and one of each setting beside their truth."""
        assert isinstance(network, FlowModule)
        rows = []
        for clips in self._validation(1).values():
            for clip in clips:
                answer = flow_answers(network, clip[:1])[NETWORK]
                truth = truth_of(clip[:1]).flow_forward
                rows.append(example_of('flow', clip[:1], answer))
                rows.append(example_of('truth', clip[:1], Answer(flow_forward=truth)))
        return {'pairs': answer_sheet(rows, 'Pairs kept out of training')}

    def _validation(self, budget: int) -> Mapping[str, Sequence[Clips]]:
        device = next(self.network.parameters()).device
        return held_out_pairs(self.settings.stages[-1].size, budget, device)


def drawn_pairs(
    seeds: Sequence[int], stage: FlowStage, device: torch.device, compiled: bool = False
) -> Clips:
    """Clips of two instants, layered pairs first; each a function of its own seed."""
    layered = [s for s in seeds if choices('source', s).random() < stage.layered]
    scenes = [s for s in seeds if s not in layered]
    parts = []
    if layered:
        tiles = _tiles(TRAINING_TILES, device)
        parts.append(as_clips(layered_pairs(layered, stage.size, tiles)))
    if scenes:
        parts.append(generate(scenes, SceneSpec(stage.size, instants=2), device, compiled))
    return joined(parts)


@lru_cache(maxsize=4)
def held_out_pairs(
    size: tuple[int, int], count: int, device: torch.device
) -> Mapping[str, Sequence[Clips]]:
    """Pairs of seeds and texture tiles that no training draws.

    `count` layered ones, and about as many of scenes
    """
    tiles = _tiles(HELD_OUT_TILES, device)
    each = range(-(-count // len(HELD_OUT_SCENES)))
    scenes = [
        generate(each, SceneSpec(size, instants=2, setting=setting), device)
        for setting in HELD_OUT_SCENES
    ]
    return {'layered': [as_clips(layered_pairs(range(count), size, tiles))], 'scenes': scenes}


def flow_answers(network: FlowModule, clip: Clips) -> dict[str, Answer]:
    """What the module says of the first of two instants of one clip."""
    images = clip.images[:, 0].float() / 255
    with torch.no_grad():
        flow = network(images[:, 0], images[:, 1])[0].flow
    return {NETWORK: Answer(flow_forward=torch.stack([flow, 0 * flow], 1).cpu().numpy())}


@lru_cache(maxsize=2)
def _tiles(seed: int, device: torch.device) -> torch.Tensor:
    return texture_tiles(TILES, seed).to(device)

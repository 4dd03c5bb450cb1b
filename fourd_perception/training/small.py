"""The task `small`: networks of the family of `fourd-small`, trained on clips (training.md 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.small.config import SMALL_PRESETS, SmallConfig
from fourd_perception.model.small.network import FourdSmall
from fourd_perception.training.cells import cells_of
from fourd_perception.training.clip_source import clip_source, ClipRequest, SourceSettings
from fourd_perception.training.clip_stages import check_stages, ClipStage, stage_at
from fourd_perception.training.clip_validation import ClipValidation
from fourd_perception.training.focus import draw_focus
from fourd_perception.training.layout_terms import weighted_terms
from fourd_perception.training.seeded import choices
from fourd_perception.training.small_pass import small_pass
from fourd_perception.training.small_terms import small_terms
from fourd_perception.training.sub_grids import cut_out, draw_sub_grid, GridSettings
from fourd_perception.training.task import StepContext
from fourd_perception.training.told import draw_told, identifiers
import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class SmallWeights:
    """How much each term counts (training.md 3.6). With `flow` 0 its module stays as it is."""

    depth: float = 1.0
    gradient: float = 0.5
    pose: float = 1.0
    field_of_view: float = 0.5
    scale: float = 0.1
    consistency: float = 0.1
    flow: float = 0.5
    flow_scale: float = 0.01
    mask: float = 0.3


@dataclass(frozen=True)
class SmallSettings:
    """What is trained, on what.

    network: sizes; those of `fourd-small` unless given
    source:  of the clips
    stages:  one after the other, by the progress of the training
    grids:   which sub-grids of the clips are read
    decoded: cells of a grid whose depth is asked for in a step, where it has as many
    """

    network: SmallConfig = SMALL_PRESETS['fourd-small']
    source: SourceSettings = field(default_factory=SourceSettings)
    stages: tuple[ClipStage, ...] = (ClipStage(),)
    grids: GridSettings = field(default_factory=GridSettings)
    decoded: int = 4
    weights: SmallWeights = field(default_factory=SmallWeights)

    def __post_init__(self) -> None:
        check_stages(self.stages)
        if self.decoded < 1:
            raise ValueError(
                f'{self.decoded} decoded cells leave no depth to learn; give 1 or more'
            )

    def build(self, device: torch.device) -> SmallTask:
        """A drawn network and its clips."""
        return SmallTask(FourdSmall(self.network).to(device), self)


class SmallTask:
    """One network under training."""

    def __init__(self, network: FourdSmall, settings: SmallSettings) -> None:
        self.network, self.settings = network, settings
        if network.flow_module is not None and settings.weights.flow == 0:
            network.flow_module.requires_grad_(False)
        self._draw = clip_source(settings.source)
        scenes, size = settings.source, settings.stages[-1].size
        self._validation = ClipValidation(size, scenes.scenes, scenes.setting)

    def losses(self, context: StepContext) -> Mapping[str, torch.Tensor]:
        """Weighted terms, each [n]; what is drawn depends on step and seeds alone."""
        stage = stage_at(self.settings.stages, context.progress)
        grid = draw_sub_grid(self.settings.grids, choices('grid', context.step))
        request = ClipRequest(grid.size(stage.size), grid.views, grid.instants, stage.movers)
        # Truth keeps its digits.
        with torch.no_grad(), torch.autocast(context.device.type, enabled=False):
            clips = cut_out(self._draw(context.seeds, request, context.device), grid)
        told = draw_told(context.seeds, grid.views, self.network.config.cameras)

        def terms_of(
            part: Clips, members: torch.Tensor, layout: CellLayout
        ) -> Mapping[str, torch.Tensor]:
            drawn = choices('focus', context.step)
            motion = bool(drawn.random() < stage.motion)
            focus = draw_focus(layout, self.settings.decoded, drawn)
            part_told, cells = told[members.cpu()], cells_of(part, layout)
            hints = identifiers(part_told, part, layout)
            answer = small_pass(
                self.network, cells.images, layout, grid.band, hints, focus, motion
            )
            true_pose = part_told.true_pose.to(context.device)
            return small_terms(self.network, answer, cells, true_pose)

        return weighted_terms(clips, asdict(self.settings.weights), terms_of)

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Of the encoder's blocks, which all terms but those of the flow reach."""
        return list(self.network.encoder_blocks.parameters())

    def validate(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Errors by the names of `Score.values`; iou, delta and auc: higher is better."""
        return self._validation.errors(network, budget)

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """A clip of each setting beside its truth."""
        return self._validation.pictures(network)

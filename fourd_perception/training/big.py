"""The task `big`: a VGGT or 4D-VGGT, head by head or all together (4D-VGGT B.8, B.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import get_args, Literal

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Network
from fourd_perception.model.presets import NetworkConfig, PRESETS
from fourd_perception.training.big_start import drawn, started
from fourd_perception.training.big_terms import big_terms
from fourd_perception.training.clip_crop import covering, cropped
from fourd_perception.training.clip_source import clip_source, ClipRequest, SourceSettings
from fourd_perception.training.clip_stages import check_stages, stage_at
from fourd_perception.training.clip_validation import ClipValidation
from fourd_perception.training.focus import draw_focus
from fourd_perception.training.layout_terms import weighted_terms
from fourd_perception.training.seeded import choices
from fourd_perception.training.sub_grids import cut_out, draw_sub_grid, GridSettings
from fourd_perception.training.task import StepContext
import numpy as np
import torch
from torch import nn

# In the order of the paper's first stage; flow is this project's.
Head = Literal['camera', 'depth', 'mask', 'points', 'tracks', 'flow']
HEADS: tuple[Head, ...] = get_args(Head)


@dataclass(frozen=True)
class BigPhase:
    """One stretch of a training.

    until: progress at which it ends, 0..1
    heads: those that learn; the others rest
    """

    until: float = 1.0
    heads: tuple[Head, ...] = HEADS


@dataclass(frozen=True)
class BigWeights:
    """How much each head's loss counts (B.8), and the flow's."""

    camera: float = 1.0
    depth: float = 0.8
    mask: float = 0.8
    points: float = 0.9
    tracks: float = 0.1
    flow: float = 0.5
    flow_scale: float = 0.01


@dataclass(frozen=True)
class BigSettings:
    """What is trained, on what.

    preset:  of the network, see `model.presets`
    initial: weights to start from, a path or a name of `weights list`; a VGGT is made into a
             4D-VGGT where the preset is one. Heads that it lacks are drawn, but a mask head starts
             as the depth head. None: everything is drawn
    frozen:  what rests throughout: `nothing`; the image `encoder`; or the `representation`,
             encoder and trunk
    phases:  one after the other, by the progress of the training
    size:    (height, width) of landscape images, multiples of the network's patch
    decoded: cells of a grid whose maps are asked for in a step, where it has as many
    queries: tracked points of a clip
    """

    preset: str = '4d-vggt'
    initial: str | None = None
    frozen: Literal['nothing', 'encoder', 'representation'] = 'nothing'
    phases: tuple[BigPhase, ...] = (BigPhase(),)
    size: tuple[int, int] = (392, 518)
    source: SourceSettings = field(default_factory=SourceSettings)
    grids: GridSettings = field(default_factory=lambda: GridSettings(banded=0.0))
    decoded: int = 4
    queries: int = 64
    weights: BigWeights = field(default_factory=BigWeights)

    def __post_init__(self) -> None:
        check_stages(self.phases)
        if self.preset not in PRESETS:
            raise ValueError(f'preset {self.preset!r} is unknown; use one of {", ".join(PRESETS)}')
        config = self.network
        patch = config.trunk.patch
        if any(side % patch for side in self.size):
            raise ValueError(f'size {self.size}: give multiples of the patch, {patch}')
        if self.grids.banded:
            raise ValueError(
                f'grids.banded is {self.grids.banded}; only fourd-small reads bands, give 0.0'
            )
        for phase in self.phases:
            absent = [head for head in phase.heads if getattr(config, head) is None]
            if absent or not phase.heads:
                raise ValueError(
                    f'heads {phase.heads} of a phase: {self.preset} has '
                    f'{[head for head in HEADS if getattr(config, head) is not None]}'
                )

    @property
    def network(self) -> NetworkConfig:
        """The network's configuration."""
        return PRESETS[self.preset]

    def build(self, device: torch.device) -> BigTask:
        """A network with these weights, and its clips."""
        network = (
            drawn(self.network) if self.initial is None else started(self.network, self.initial)
        )
        return BigTask(network.to(device), self)


class BigTask:
    """One network under training."""

    def __init__(self, network: Network, settings: BigSettings) -> None:
        self.network, self.settings = network, settings
        self._draw = clip_source(settings.source)
        scenes = settings.source
        self._validation = ClipValidation(settings.size, scenes.scenes, scenes.setting)
        for part in resting(network, settings.frozen):
            part.requires_grad_(False)

    def losses(self, context: StepContext) -> Mapping[str, torch.Tensor]:
        """Weighted terms, each [n], of the heads that learn now; 0 of the others."""
        settings = self.settings
        heads = stage_at(settings.phases, context.progress).heads
        drawn = choices('grid', context.step)
        grid = draw_sub_grid(settings.grids, drawn)
        size = grid.size(settings.size)
        tracks = settings.queries if 'tracks' in heads else 0
        request = ClipRequest(covering(size), grid.views, grid.instants, tracks=tracks)
        # Truth keeps its digits.
        with torch.no_grad(), torch.autocast(context.device.type, enabled=False):
            clips = cropped(self._draw(context.seeds, request, context.device), size)
            clips = cut_out(clips, grid)

        def terms_of(
            part: Clips, _: torch.Tensor, layout: CellLayout
        ) -> Mapping[str, torch.Tensor]:
            drawn = choices('focus', context.step)
            layout = replace(layout, reference=int(drawn.integers(len(layout))))
            focus = draw_focus(layout, settings.decoded, drawn)
            frozen = settings.frozen == 'representation'
            return big_terms(self.network, part, layout, heads, focus, settings.queries, frozen)

        return weighted_terms(clips, asdict(settings.weights), terms_of)

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Of the last pair of blocks of the cross-view branch, which every head reads."""
        trunk = self.network.cross_view_global_fusion
        return [*trunk.frame_blocks[-1].parameters(), *trunk.global_blocks[-1].parameters()]

    def validate(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Errors by the names of `Score.values`; iou, delta and auc: higher is better."""
        return self._validation.errors(network, budget)

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """A clip of each setting beside its truth."""
        return self._validation.pictures(network)


def resting(network: Network, frozen: str) -> Sequence[nn.Module]:
    """The parts that rest throughout a training, see `BigSettings.frozen`."""
    if frozen == 'representation':
        return network.trunk_parts
    return [network.cross_view_global_fusion.patch_embed] if frozen == 'encoder' else []

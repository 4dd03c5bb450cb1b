"""The task `heads`: a mask head that sees residual motion, and flow, on a frozen trunk (B.16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.cell_pairs import other_frames, posed_motions
from fourd_perception.model.heads.flow import FlowConfig
from fourd_perception.model.network import Network
from fourd_perception.model.presets import MotionHeadConfig, NetworkConfig, PRESETS
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.training.big_start import drawn, started
from fourd_perception.training.clip_crop import covering, cropped
from fourd_perception.training.clip_validation import ClipValidation
from fourd_perception.training.feature_cache import FeatureCache, fingerprint, Tensors
from fourd_perception.training.focus import draw_focus
from fourd_perception.training.focus_flow import flow_terms, focus_flows
from fourd_perception.training.frozen_clip import frozen_clips, FrozenClips
from fourd_perception.training.mask_loss import mask_loss
from fourd_perception.training.motion_evidence import (
    focus_pairs,
    motions_shown,
    paired_cells,
)
from fourd_perception.training.processes import process_count
from fourd_perception.training.sample_seeds import FIRST
from fourd_perception.training.seeded import choices
from fourd_perception.training.task import StepContext
from fourd_perception.training.told import TRUE_POSE
import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class HeadsWeights:
    """How much each term counts."""

    mask: float = 1.0
    flow: float = 0.5
    flow_scale: float = 0.01


@dataclass(frozen=True)
class HeadsSettings:
    """What is trained, on what.

    preset:   of the frozen network, see `model.presets`
    initial:  its weights, a path or a name of `weights list`; None: everything is drawn
    width:    channels of the mask head
    size:     (height, width), multiples of the network's patch
    instants: of a clip, of one view
    scenes:   clips that there are; each is read by the trunk once, as far as the cache holds
    setting:  of the scenes, see `SceneSpec`
    cache:    folder of what the trunk says of them; None: in memory
    cache_gigabytes: that it may grow to, over all processes
    """

    preset: str = 'vggt-1b'
    initial: str | None = None
    width: int = 64
    size: tuple[int, int] = (392, 518)
    instants: int = 4
    scenes: int = 2000
    setting: str = 'mixed'
    cache: Path | None = None
    cache_gigabytes: float = 20.0
    weights: HeadsWeights = field(default_factory=HeadsWeights)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f'preset {self.preset!r} is unknown; use one of {", ".join(PRESETS)}')
        patch = self.network.trunk.patch
        if any(side % patch for side in self.size):
            raise ValueError(f'size {self.size}: give multiples of the patch, {patch}')
        if self.instants < 2 or self.scenes < 1 or self.cache_gigabytes < 0:
            raise ValueError(
                f'{self.instants} instants, {self.scenes} scenes, a cache of '
                f'{self.cache_gigabytes} GB; motion takes 2 instants, a training 1 scene'
            )
        SceneSpec(setting=self.setting)

    @property
    def network(self) -> NetworkConfig:
        """The preset's, with these heads and without other masks and tracks."""
        preset = PRESETS[self.preset]
        motion, flow = MotionHeadConfig(self.width), preset.flow or FlowConfig()
        return replace(preset, mask=None, tracks=None, motion=motion, flow=flow)

    def build(self, device: torch.device) -> HeadsTask:
        """The network, all but the two heads frozen, and what is known of its clips."""
        config = self.network
        network = drawn(config) if self.initial is None else started(config, self.initial)
        return HeadsTask(network.to(device), self)


class HeadsTask:
    """One network under training."""

    def __init__(self, network: Network, settings: HeadsSettings) -> None:
        self.network, self.settings = network, settings
        network.requires_grad_(False)
        network.motion_head.requires_grad_(True)
        assert network.flow_module is not None
        network.flow_module.requires_grad_(True)
        self._validation = ClipValidation(settings.size)

    def losses(self, context: StepContext) -> Mapping[str, torch.Tensor]:
        """Weighted terms, each [n]."""
        clips = self._clips(context.seeds, context.device)
        layout = CellLayout.sequence(self.settings.instants)
        drawn = choices('focus', context.step)
        focus = draw_focus(layout, 0, drawn)
        chosen = list(focus.cells)
        shown = [choices('told', seed).random() < TRUE_POSE for seed in context.seeds]
        flows = focus_flows(self.network.flow_module, clips.images.float() / 255, focus)
        assert flows is not None
        cells = paired_cells(focus, len(clips.poses))
        with torch.autocast(context.device.type, enabled=False):
            terms = flow_terms(flows, clips, focus)
            depth, k = (
                part[:, chosen].flatten(0, 1) for part in (clips.log_depth.exp(), clips.intrinsics)
            )
            pairs = focus_pairs(flows, focus, len(clips.poses))
            motions = motions_shown(
                posed_motions(pairs, clips.poses[:, chosen].flatten(0, 1)),
                pairs,
                clips.true_poses[:, chosen],
                clips.log_length,
                torch.tensor(shown, device=context.device),
            )
            others = other_frames(pairs, depth, k, motions, cells)
        features = clips.features[:, chosen].float().flatten(0, 1)[cells]
        logits = self.network.motion_head(features, depth[cells], k[cells], others)
        dynamic = clips.dynamic[:, chosen][:, focus.paired]
        terms['mask'] = mask_loss(logits.view(dynamic.shape), dynamic)
        return {
            name: weight * terms[name] for name, weight in asdict(self.settings.weights).items()
        }

    def _clips(self, seeds: Sequence[int], device: torch.device) -> FrozenClips:
        """What the trunk says of the clips of the seeds."""
        numbers = [seed % self.settings.scenes for seed in seeds]
        known = [self._cache.get(n, partial(self._made, n, device)) for n in numbers]
        return FrozenClips(
            **{
                f.name: torch.cat([one[f.name] for one in known]).to(device)
                for f in fields(FrozenClips)
            }
        )

    @cached_property
    def _cache(self) -> FeatureCache:
        """Opened when first asked: only then are all weights there, and the precision is known."""
        settings = self.settings
        title = '' if settings.cache is None else self._title()
        most = int(1e9 * settings.cache_gigabytes)
        return FeatureCache(settings.cache, most, title, process_count())

    def _title(self) -> str:
        """All that what is kept depends on."""
        settings, kind = self.settings, next(self.network.parameters()).device.type
        autocast = torch.is_autocast_enabled(kind)
        precision = torch.get_autocast_dtype(kind) if autocast else torch.float32
        return (
            f'{settings.preset} {settings.size} {settings.instants} {settings.setting} '
            f'{precision} SHA-256 {fingerprint(self.network)}'
        )

    def _made(self, number: int, device: torch.device) -> Tensors:
        settings = self.settings
        spec = SceneSpec(covering(settings.size), 1, settings.instants, settings.setting)
        # Seeds below are those of the frozen set.
        with torch.autocast(device.type, enabled=False):
            clips = cropped(generate([FIRST + number], spec, device), settings.size)
        return vars(frozen_clips(self.network, clips))

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Of the mask head: nothing is shared."""
        return list(self.network.motion_head.parameters())

    def validate(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Errors by the names of `Score.values`; iou, delta and auc: higher is better."""
        return self._validation.errors(network, budget)

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """A clip of each setting beside its truth."""
        return self._validation.pictures(network)

"""Where the clips of a training come from: generated scenes, and data sets by weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
import warnings

from fourd_perception.datasets.catalogue import option_types
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.mixture import Mixture, open_mixture, Share
from fourd_perception.geometry.clips import Clips, joined
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.training.plain_values import built, plain
from fourd_perception.training.scene_memory import scene_of, SceneMemory
from fourd_perception.training.seeded import choices
import torch

# Grids and sizes whose scenes are remembered together.
MOST_REQUESTS = 4


@dataclass(frozen=True)
class DataSetShare:
    """A data set of the mixture; fields as in `datasets.mixture.Share`.

    Options that the data set does not take, or not of this type, are errors, absent or not.
    """

    name: str
    root: Path
    weight: float = 1.0
    strides: tuple[int, ...] = (1,)
    options: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        types = option_types(self.name, self.options)
        for option, value in self.options.items():
            built(types[option], plain(value), f'option {option} of data set {self.name}')


@dataclass(frozen=True)
class SourceSettings:
    """The mixture.

    generated:   weight of generated scenes beside the data sets
    setting:     of the generated scenes, see `SceneSpec`
    data_sets:   none: generated scenes alone
    skip_absent: leave out data sets that are not there, with a warning, instead of stopping
    compiled:    draw scenes three times as fast, once a few minutes of compiling are over
    scenes:      seeds of generated scenes, seen again and again; empty: new ones all the time
    repeats:     how often each new scene is seen, where a training asks for the same grid and size
                 again; up to 512 clips stay in memory for each
    """

    generated: float = 1.0
    setting: str = 'mixed'
    data_sets: tuple[DataSetShare, ...] = ()
    skip_absent: bool = False
    compiled: bool = False
    scenes: tuple[int, ...] = ()
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f'scenes are seen {self.repeats} times; let `repeats` be 1 or more')
        if self.generated < 0 or (self.generated == 0 and not self.data_sets):
            raise ValueError(
                f'generated scenes have weight {self.generated}, of {len(self.data_sets)} data '
                'sets; give a weight above 0, or 0 and a data set'
            )
        if self.scenes and self.data_sets:
            raise ValueError(
                f'scenes {self.scenes} and {len(self.data_sets)} data sets; a few scenes are seen '
                'alone, so leave out one or the other'
            )
        SceneSpec(setting=self.setting)


@dataclass(frozen=True)
class ClipRequest:
    """What clips are wanted; size is (height, width), tracks are points at most."""

    size: tuple[int, int]
    views: int
    instants: int
    movers: bool = True
    tracks: int = 0


# Clips of the seeds, each a function of its own seed and of the request.
DrawClips = Callable[[Sequence[int], ClipRequest, torch.device], Clips]


def clip_source(settings: SourceSettings) -> DrawClips:
    """Open the data sets; AbsentDataSet names one that is not there."""
    mixture, weight = _mixture(settings)
    share = settings.generated / (settings.generated + weight)

    @lru_cache(maxsize=MOST_REQUESTS)
    def scenes_like(spec: SceneSpec, device: torch.device) -> SceneMemory:
        def drawn(seeds: Sequence[int]) -> Clips:
            return generate(seeds, spec, device, settings.compiled)

        return SceneMemory(drawn)

    def generated(seeds: Sequence[int], spec: SceneSpec, device: torch.device) -> Clips:
        if few := settings.scenes:
            return scenes_like(spec, device).clips([few[seed % len(few)] for seed in seeds])
        if settings.repeats == 1:
            return generate(seeds, spec, device, settings.compiled)
        return scenes_like(spec, device).clips([scene_of(s, settings.repeats) for s in seeds])

    def draw(seeds: Sequence[int], request: ClipRequest, device: torch.device) -> Clips:
        spec = SceneSpec(
            request.size,
            request.views,
            request.instants,
            settings.setting,
            request.movers,
            tracks=request.tracks,
        )
        if mixture is None:
            return generated(seeds, spec, device)
        wanted = ClipSpec(request.size, request.instants, request.views, request.tracks)
        own = [seed for seed in seeds if choices('source', seed).random() < share]
        scenes = generated(own, spec, device) if own else None
        clips = [mixture.clip(seed, wanted).to(device) for seed in seeds if seed not in own]
        together = joined(clips + ([scenes] if scenes is not None else []))
        order = [seed for seed in seeds if seed not in own] + own
        return together[torch.tensor([order.index(seed) for seed in seeds], device=device)]

    return draw


def _mixture(settings: SourceSettings) -> tuple[Mixture | None, float]:
    """The data sets that are there, and their weight beside generated scenes."""
    shares = [Share(s.name, s.root, s.weight, s.strides, s.options) for s in settings.data_sets]
    none_there = not any(share.root.is_dir() for share in shares)
    if shares and none_there and settings.skip_absent and settings.generated > 0:
        names = ', '.join(share.name for share in shares)
        warnings.warn(f'skipped: {names} are absent; generated scenes alone', stacklevel=3)
    elif shares:
        mixture = open_mixture(shares, settings.skip_absent)
        there = {data_set.name for data_set in mixture.sets}
        return mixture, sum(share.weight for share in shares if share.name in there)
    return None, 0.0

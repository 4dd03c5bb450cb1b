"""The frozen clips that networks are validated on: what they are, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from fourd_perception.geometry.clips import Clips, DYNAMIC
from fourd_perception.synthetic.scenes import generate, SceneSpec
import numpy as np
import torch
import yaml

FILE = Path(__file__).parent / 'validation.yaml'
FLOW_PERCENTILES = 5, 25, 50, 75, 95
DEPTH_PERCENTILES = 5, 50, 95
_HEADER = """\
# The clips that networks are validated on. Their seeds are below 2^31, those of trainings above.
# What is in them is printed by `fourd-perception scenes validation`; see synthetic/validation.py.
"""


@dataclass(frozen=True)
class Contents:
    """What is in some clips. Numbers are rounded to three digits.

    flow:           percentiles of |flow| forward, px: `FLOW_PERCENTILES` of the pixels
    below_a_pixel:  share of the pixels that move less than 1 px
    depth:          percentiles of depth, m: `DEPTH_PERCENTILES`
    sky:            share of the pixels without depth
    moving:         share of the pixels that are `DYNAMIC`
    with_movers:    share of the clips in which more than 0.1 % of the pixels are
    large_movers:   share of the clips in which an image is `DYNAMIC` over more than 40 %
    colour:         means of red, green and blue over all images, 0 to 255
    contrast:       their standard deviations
    """

    flow: tuple[float, ...]
    below_a_pixel: float
    depth: tuple[float, ...]
    sky: float
    moving: float
    with_movers: float
    large_movers: float
    colour: tuple[float, ...]
    contrast: tuple[float, ...]

    def like(self, other: Contents) -> bool:
        """Whether every number is that of the other but for rounding on another machine."""
        pairs = zip(vars(self).values(), vars(other).values())
        return all(np.allclose(a, b, rtol=0.02, atol=0.002) for a, b in pairs)


@dataclass(frozen=True)
class FrozenSetting:
    """Clips of consecutive seeds.

    spec:     what they are
    seed:     of the first
    clips:    how many
    contents: what is in them
    mover:    number of the first clip in which something moves, if any
    example:  what is in that one alone: soon found out whether clips are still the same
    """

    spec: SceneSpec
    seed: int
    clips: int
    contents: Contents
    mover: int
    example: Contents


@cache
def frozen_settings(path: Path = FILE) -> Mapping[str, FrozenSetting]:
    """The settings of `validation.yaml` by name: four, and one of what is kept out of training."""
    return {name: _setting(values) for name, values in yaml.safe_load(path.read_text()).items()}


def validation_clips(
    setting: str,
    clips: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
    device: torch.device | str = 'cpu',
) -> Clips:
    """The frozen clips of a setting, all or those of some numbers.

    size: (height, width), if not that of the file. Places and lenses are the same, but speeds are
    drawn in pixels: cameras and movers of larger images go slower, and meet other things.

    Raises ValueError for a setting that the file does not know.
    """
    known = frozen_settings()
    if setting not in known:
        raise ValueError(f'setting {setting!r} is not in {FILE.name}; take one of {tuple(known)}')
    frozen = known[setting]
    numbers = range(frozen.clips) if clips is None else clips
    if any(not 0 <= number < frozen.clips for number in numbers):
        raise ValueError(f'clips {list(numbers)}: setting {setting!r} has 0 to {frozen.clips - 1}')
    spec = frozen.spec if size is None else SceneSpec(**{**vars(frozen.spec), 'size': size})
    return generate([frozen.seed + number for number in numbers], spec, device)


def contents_of(clips: Sequence[Clips]) -> Contents:
    """What is in groups of clips."""
    flow = np.concatenate([_lengths(some) for some in clips])
    depth = np.concatenate([some.depth.flatten().cpu().numpy() for some in clips])
    moving = torch.cat([(some.dynamic == DYNAMIC).float().mean((3, 4)).cpu() for some in clips])
    known = depth[np.isfinite(depth)]
    channels = torch.cat([some.images.movedim(3, 0).flatten(1).cpu() for some in clips], dim=1)
    contrast, colour = torch.std_mean(channels.float(), dim=1)
    return Contents(
        flow=tuple(_digits(x) for x in np.percentile(flow, FLOW_PERCENTILES)),
        below_a_pixel=_digits((flow < 1).mean()),
        depth=tuple(_digits(x) for x in np.percentile(known, DEPTH_PERCENTILES)),
        sky=_digits(1 - len(known) / len(depth)),
        moving=_digits(moving.mean()),
        with_movers=_digits((moving.mean((1, 2)) > 0.001).float().mean()),
        large_movers=_digits((moving.amax((1, 2)) > 0.4).float().mean()),
        colour=tuple(map(_digits, colour)),
        contrast=tuple(map(_digits, contrast)),
    )


def _lengths(clips: Clips) -> np.ndarray:
    """All known |flow| forward."""
    length = clips.flow_forward.norm(dim=3).flatten().cpu().numpy()
    return length[np.isfinite(length)]


def with_contents(frozen: FrozenSetting, clips: Sequence[Clips]) -> FrozenSetting:
    """The setting with what is in its clips, given one by one."""
    mover = next((k for k, clip in enumerate(clips) if contents_of([clip]).with_movers), 0)
    example = contents_of([clips[mover]])
    return replace(frozen, contents=contents_of(clips), mover=mover, example=example)


def write_contents(found: Mapping[str, FrozenSetting], path: Path = FILE) -> None:
    """Put what is in the clips of settings into the file."""
    plain = yaml.safe_load(path.read_text())
    for name, setting in found.items():
        plain[name]['contents'] = _plain(setting.contents)
        plain[name]['mover'] = setting.mover
        plain[name]['example'] = _plain(setting.example)
    text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=99)
    path.write_text(_HEADER + text)
    frozen_settings.cache_clear()


def _plain(contents: Contents) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(contents).items()}


def _setting(values: Mapping[str, Any]) -> FrozenSetting:
    spec = SceneSpec(**{**values['spec'], 'size': tuple(values['spec']['size'])})
    contents, example = (_contents(values[field]) for field in ('contents', 'example'))
    return FrozenSetting(spec, values['seed'], values['clips'], contents, values['mover'], example)


def _contents(values: Mapping[str, Any]) -> Contents:
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Contents(**plain)


def _digits(value: float | torch.Tensor) -> float:
    return float(f'{float(value):.3g}')

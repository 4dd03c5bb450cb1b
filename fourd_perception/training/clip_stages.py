"""Which clips a training sees as it goes on (training.md 3.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fourd_perception.synthetic.scenes import SceneSpec


@dataclass(frozen=True)
class ClipStage:
    """One stretch of a training.

    until:  progress at which it ends, 0..1
    size:   (height, width) of landscape images, multiples of 16
    movers: whether things move in generated scenes
    motion: share of the steps that estimate flow and learn from it and from masks; it costs as
            much as all else
    """

    until: float = 1.0
    size: tuple[int, int] = (96, 128)
    movers: bool = True
    motion: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.motion <= 1:
            raise ValueError(f'motion is {self.motion}; give a share from 0 to 1')
        SceneSpec(self.size)


class Stage(Protocol):
    """A stretch of any training."""

    @property
    def until(self) -> float:
        """Progress at which it ends, 0..1."""
        ...


S = TypeVar('S', bound=Stage)


def check_stages(stages: Sequence[Stage]) -> None:
    """Raise ValueError unless the stages follow each other up to the end."""
    ends = [stage.until for stage in stages]
    if not ends or ends != sorted(set(ends)) or ends[0] <= 0 or ends[-1] != 1.0:
        raise ValueError(f'stages end at {ends}; let `until` rise from above 0 to 1.0 at last')


def stage_at(stages: Sequence[S], progress: float) -> S:
    """The stage at this progress; the last one goes on to the end."""
    return next((stage for stage in stages[:-1] if progress < stage.until), stages[-1])

"""What a training configuration says: a YAML file, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fourd_perception.training.clip_source import SourceSettings
from fourd_perception.training.heads import HeadsSettings
from fourd_perception.training.plain_values import built, plain
from fourd_perception.training.schedule import Length
from fourd_perception.training.task import TaskSettings
from fourd_perception.training.tasks import TASKS
import yaml


@dataclass(frozen=True)
class StartFrom:
    """Weights that a training starts from instead of drawn ones.

    weights: a file of a training (its averaged weights are taken), or anything else that the
             node's `weights` takes: a file, an index, a folder of them, a name that was fetched
    into:    what the names of this network begin with where the file's names follow, such as
             `flow_module.`
    missing: beginnings of names of this network, under `into`, that the file may lack; they stay
             as they were drawn
    unused:  beginnings of names of the file that this network may lack
    """

    weights: str
    into: str = ''
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingConfig:
    """A training.

    task:          what is trained, on which samples
    minutes, steps: its length, one of them
    seed:          of the drawn weights and of the samples
    batch:         samples of a step, over all processes
    micro_batch:   samples that a process reads at once; None: all of its share
    start_from:    weights to start from, one after the other
    optimiser:     `muon` is for the matrices of the transformer blocks, AdamW for the rest
    rate:          the highest learning rate
    weight_decay:  of matrices and kernels
    average:       decay a step of the averaged weights, which are what ships
    balance:       scale terms whose gradients at the trunk are far from the others'
    precision:     of the network's products; weights are always float32
    compile:       the transformer blocks
    recompute:     the blocks' inner values in the backward pass, instead of keeping them
    parallel:      what several processes do: `ddp` copies the network, `fsdp` divides it
    device:        `auto` (a GPU if there is one), `cpu` or `cuda`
    checkpoint_minutes, validation_minutes: how often; both also at the end
    validation_samples: of the frozen set
    weights_dtype: of the weights that are written at the end
    licence:       of the weights, written into their files where given
    """

    task: TaskSettings
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    batch: int = 16
    micro_batch: int | None = None
    start_from: tuple[StartFrom, ...] = ()
    optimiser: Literal['adamw', 'muon'] = 'adamw'
    rate: float = 4e-4
    weight_decay: float = 0.05
    average: float = 0.999
    balance: bool = False
    precision: Literal['bf16', 'fp32'] = 'bf16'
    compile: bool = False
    recompute: bool = False
    parallel: Literal['ddp', 'fsdp'] = 'ddp'
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    checkpoint_minutes: float = 5.0
    validation_minutes: float = 10.0
    validation_samples: int = 32
    weights_dtype: Literal['bf16', 'fp32'] = 'bf16'
    licence: str | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError(
                f'minutes is {self.minutes}, steps is {self.steps}; give exactly one of them'
            )
        for name in ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and not 0 < value < float('inf'):
                raise ValueError(f'{name} is {value}; give a number above 0')
        if not 0 <= self.average < 1:
            raise ValueError(f'average is {self.average}; give a number from 0 to below 1')
        if self.seed < 0:
            raise ValueError(f'seed is {self.seed}; give a whole number from 0')
        if self.weight_decay < 0:
            raise ValueError(f'weight_decay is {self.weight_decay}; give a number from 0')
        if self.optimiser == 'muon' and self.parallel == 'fsdp':
            raise ValueError('muon needs whole matrices; use adamw with parallel: fsdp')
        if self.parallel == 'fsdp':
            _require_equal_passes(self)

    @property
    def length(self) -> Length:
        """Minutes or steps."""
        return Length(self.minutes, self.steps)


def _require_equal_passes(config: TrainingConfig) -> None:
    """Processes that divide a network wait for each other in every block: all pass it as often."""
    if isinstance(config.task, HeadsSettings):
        raise ValueError(
            'parallel is fsdp, but the trunk of heads reads only clips that are not kept, and how '
            'many differs between processes; use parallel: ddp'
        )
    source = getattr(config.task, 'source', None)
    if isinstance(source, SourceSettings) and source.data_sets and config.micro_batch != 1:
        raise ValueError(
            f'micro_batch is {config.micro_batch} with parallel: fsdp and '
            f'{len(source.data_sets)} data sets; clips that lack different cells are read one '
            'after the other, and how many differs between processes, unless each reads one clip '
            'at once: give micro_batch: 1'
        )


ABOVE_ZERO = (
    'minutes',
    'steps',
    'batch',
    'micro_batch',
    'rate',
    'checkpoint_minutes',
    'validation_minutes',
    'validation_samples',
)
# How a training is run, not what comes out: a resumed one may change these.
HOW = (
    'minutes',
    'steps',
    'micro_batch',
    'compile',
    'recompute',
    'parallel',
    'device',
    'checkpoint_minutes',
    'validation_minutes',
    'validation_samples',
    'weights_dtype',
    'licence',
)


def read_config(
    path: Path, minutes: float | None = None, steps: int | None = None
) -> TrainingConfig:
    """The configuration of a YAML file; ValueError names key, value and what is accepted.

    minutes, steps: instead of the file's length
    """
    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is no YAML: {error}') from None
    if not isinstance(values, dict):
        raise ValueError(f'{path} holds no keys; a training has at least a task and a length')
    if minutes is not None or steps is not None:
        values = {k: v for k, v in values.items() if k not in ('minutes', 'steps')}
        values |= {'minutes': minutes, 'steps': steps}
    return config_from_plain(values, str(path))


def config_from_plain(values: Mapping[str, Any], where: str) -> TrainingConfig:
    """The configuration of plain values, as `config_to_plain` gives them."""
    task = values.get('task')
    if not isinstance(task, Mapping) or task.get('kind') not in TASKS:
        raise ValueError(
            f'{where}: task is {task!r}; give keys and values, kind among them, which is one of '
            f'{", ".join(TASKS)}'
        )
    settings = {name: value for name, value in task.items() if name != 'kind'}
    built_task = built(TASKS[task['kind']], settings, f'{where}: task')
    return built(TrainingConfig, {**values, 'task': built_task}, where)


def config_to_plain(config: TrainingConfig) -> dict[str, Any]:
    """Every value of a configuration, defaults included, as YAML can hold it."""
    kind = next(name for name, settings in TASKS.items() if settings is type(config.task))
    return {**plain(config), 'task': {'kind': kind, **plain(config.task)}}


def changed(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = '') -> list[str]:
    """What two plain configurations disagree in, beyond `HOW`, in words."""
    found = []
    for name in sorted({*old, *new} - ({*HOW} if not prefix else set())):
        before, now = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found += changed(before, now, f'{prefix}{name}.')
        elif before != now:
            found.append(f'{prefix}{name} was {before!r} and is {now!r}')
    return found

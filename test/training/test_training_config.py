"""Configurations are read strictly: what is wrong is told by key, value and what is accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fourd_perception.training.big import BigPhase, BigSettings
from fourd_perception.training.clip_source import DataSetShare, SourceSettings
from fourd_perception.training.config import (
    changed,
    config_from_plain,
    config_to_plain,
    read_config,
    StartFrom,
    TrainingConfig,
)
from fourd_perception.training.heads import HeadsSettings
from fourd_perception.training.plain_values import built, plain
from fourd_perception.training.small import SmallSettings
import pytest
from toy_task import ToySettings

CONFIGS = sorted((Path(__file__).parents[2] / 'config/train').glob('*.yaml'))


def read(folder: Path, text: str, **length: object):
    (folder / 'toy.yaml').write_text(text)
    return read_config(folder / 'toy.yaml', **length)


def test_a_configuration_names_its_task_and_may_leave_the_rest(tmp_path):
    config = read(tmp_path, 'task: {kind: toy, scale: 2}\nminutes: 30\n')
    assert config.task == ToySettings(scale=2.0)
    assert (config.minutes, config.steps, config.optimiser) == (30.0, None, 'adamw')
    assert config_from_plain(config_to_plain(config), 'again') == config


def test_the_command_line_replaces_the_length(tmp_path):
    text = 'task: {kind: toy}\nminutes: 30\n'
    assert read(tmp_path, text, steps=7).length.progress(7, 0.0) == 1.0
    assert read(tmp_path, text, minutes=2.0).length.progress(7, 60.0) == 0.5


def test_a_divided_network_is_passed_as_often_by_all_processes():
    task = BigSettings('tiny', size=(28, 42), phases=(BigPhase(heads=('depth',)),))
    sets = SourceSettings(data_sets=(DataSetShare('tum_rgbd', Path('tum')),))
    for several in (replace(task, source=sets), SmallSettings(source=sets)):
        with pytest.raises(ValueError, match='micro_batch is None .* 1 data sets; .* give micro_'):
            TrainingConfig(several, steps=1, parallel='fsdp')
        with pytest.raises(ValueError, match='micro_batch is 4'):
            TrainingConfig(several, steps=1, parallel='fsdp', micro_batch=4)
        TrainingConfig(several, steps=1, parallel='fsdp', micro_batch=1)
        TrainingConfig(several, steps=1)
    TrainingConfig(task, steps=1, parallel='fsdp')
    with pytest.raises(ValueError, match='heads reads only clips that are not kept'):
        TrainingConfig(HeadsSettings(), steps=1, parallel='fsdp', micro_batch=1)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_package_s_own_are_read_and_say_whose_weights_come_out(path):
    config = read_config(path)
    assert config_from_plain(config_to_plain(config), 'again') == config
    # Drawn weights are ours; others stay under the licence of those that they began as.
    begins_as = getattr(config.task, 'initial', None)
    assert config.licence == ('Apache-2.0' if begins_as is None else None)


def test_weights_to_start_from_are_a_list(tmp_path):
    config = read(
        tmp_path,
        'task: {kind: toy}\nsteps: 1\nstart_from:\n'
        '- {weights: a/last.pt, into: flow_module.}\n- {weights: b, missing: [head.]}\n',
    )
    assert config.start_from == (
        StartFrom('a/last.pt', into='flow_module.'),
        StartFrom('b', missing=('head.',)),
    )
    assert config_from_plain(config_to_plain(config), 'again') == config


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('task: {kind: toy}\nsteps: 1\nbatchsize: 4', 'has no key batchsize; known are task, min'),
        ('task: {kind: toy, scales: 1}\nsteps: 1', 'task has no key scales; known are scale'),
        ('task: {kind: tyo}\nsteps: 1', "'kind': 'tyo'"),
        ('steps: 1', 'task is None; give keys and values, kind among them'),
        ('task: {kind: toy}', 'minutes is None, steps is None; give exactly one'),
        ('task: {kind: toy}\nsteps: 1\nminutes: 2', 'give exactly one'),
        ('task: {kind: toy}\nsteps: 1.5', 'steps is 1.5; give a whole number'),
        ('task: {kind: toy}\nsteps: true', 'steps is True; give a whole number'),
        ('task: {kind: toy}\nsteps: 0', 'steps is 0; give a number above 0'),
        ('task: {kind: toy}\nsteps: 1\nrate: 4e-4', "rate is '4e-4'; give a number (with a point"),
        ('task: {kind: toy}\nsteps: 1\nrate: .nan', 'rate is nan; give a number above 0'),
        ('task: {kind: toy}\nsteps: 1\naverage: 1', 'average is 1.0; give a number from 0 to bel'),
        ('task: {kind: toy}\nsteps: 1\noptimiser: sgd', "is 'sgd'; give adamw or muon"),
        ('task: {kind: toy}\nsteps: 1\nbalance: 1', 'balance is 1; give true or false'),
        ('task: {kind: toy}\nsteps: 1\nstart_from: x.pt', "is 'x.pt'; give a list, each keys and"),
        ('task: {kind: toy}\nsteps: 1\nstart_from: [{into: a}]', 'start_from[0] lacks weights'),
        ('task: {kind: toy}\nsteps: 1\noptimiser: muon\nparallel: fsdp', 'muon needs whole matr'),
        ('- 1', 'holds no keys'),
        ('task: [', 'is no YAML'),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, text, told):
    with pytest.raises(ValueError, match='toy.yaml') as caught:
        read(tmp_path, text)
    assert told in str(caught.value)


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int] = (96, 128)
    kind: Literal['a', 'b'] = 'a'


@dataclass(frozen=True)
class Outer:
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    number: int | float | None = None


def test_nested_values_are_built_and_made_plain_again():
    values = {'inner': {'size': [64, 96]}, 'several': [{'kind': 'b'}], 'number': 2}
    found = built(Outer, values, 'x')
    assert found == Outer(Inner((64, 96)), (Inner(kind='b'),), 2)
    assert built(Outer, plain(found), 'x') == found
    with pytest.raises(ValueError, match=r'x.inner.size is \[1\]; give a list of 2: a whole num'):
        built(Outer, {'inner': {'size': [1]}}, 'x')
    with pytest.raises(ValueError, match=r"x.several\[1\].kind is 'c'; give a or b"):
        built(Outer, {'several': [{}, {'kind': 'c'}]}, 'x')
    with pytest.raises(ValueError, match="x.inner is 'none'; give keys and values"):
        built(Outer, {'inner': 'none'}, 'x')


def test_a_resumed_training_may_change_how_it_is_run_and_nothing_else(tmp_path):
    old = config_to_plain(read(tmp_path, 'task: {kind: toy}\nsteps: 5'))
    longer = config_to_plain(
        read(tmp_path, 'task: {kind: toy}\nminutes: 9\nmicro_batch: 2\ncompile: true')
    )
    assert changed(old, longer) == []
    other = config_to_plain(read(tmp_path, 'task: {kind: toy, scale: 3}\nsteps: 5\nseed: 1'))
    assert changed(old, other) == ['seed was 0 and is 1', 'task.scale was 1.0 and is 3.0']

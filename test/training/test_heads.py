"""Heads on a frozen trunk: what is cached, what learns, and what comes out (B.16)."""

from __future__ import annotations

from dataclasses import fields, replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.untrained import untrained_network
from fourd_perception.training.feature_cache import FeatureCache
from fourd_perception.training.frozen_clip import frozen_clips
from fourd_perception.training.heads import HeadsSettings, HeadsTask
from fourd_perception.training.task import StepContext
from plane_clips import plane_clips
import pytest
import torch

SETTINGS = HeadsSettings(preset='tiny', width=8, size=(28, 42), instants=3, scenes=3)
CPU = torch.device('cpu')
CONTEXT = StepContext(0, 0.0, tuple(range(2**31, 2**31 + 4)), CPU)


def task(settings: HeadsSettings = SETTINGS) -> HeadsTask:
    torch.manual_seed(0)
    return settings.build(CPU)


def test_only_mask_head_and_flow_learn():
    trained = task()
    torch.stack(list(trained.losses(CONTEXT).values())).sum().backward()
    heads = ('motion_head.', 'flow_module.')
    for name, parameter in trained.network.named_parameters():
        assert parameter.requires_grad == name.startswith(heads)
        assert parameter.requires_grad or parameter.grad is None
    assert trained.network.motion_head.logit.weight.grad.any()
    assert any(
        p.grad.any() for p in trained.network.flow_module.parameters() if p.grad is not None
    )


def test_the_trunk_reads_every_clip_once(tmp_path, monkeypatch):
    trained = task(replace(SETTINGS, cache=tmp_path))
    first = trained.losses(CONTEXT)
    assert {file.stem for file in tmp_path.glob('*.pt')} == {'0', '1', '2'}

    def asleep(*_: object) -> None:
        raise AssertionError('the trunk runs')

    monkeypatch.setattr(trained.network, 'trunk', asleep)
    again = trained.losses(CONTEXT)
    another = HeadsTask(trained.network, trained.settings).losses(CONTEXT)
    for name, term in first.items():
        assert torch.equal(term, again[name]) and torch.equal(term, another[name])


def test_what_does_not_fit_is_made_anew_and_is_the_same():
    kept, never = task(), task(replace(SETTINGS, cache_gigabytes=0.0))
    for _ in range(2):
        for name, term in kept.losses(CONTEXT).items():
            assert torch.equal(term, never.losses(CONTEXT)[name])


@pytest.mark.parametrize('on_disk', [False, True])
def test_a_cache_stays_within_its_bounds(tmp_path, on_disk):
    folder = tmp_path if on_disk else None
    cache, made = FeatureCache(folder, 2500, 'title', 1), []

    def make(number: int) -> dict[str, torch.Tensor]:
        made.append(number)
        return {'values': torch.full((250,), float(number))}

    for number in (0, 1, 2, 0, 1, 2):
        found = cache.get(number, lambda number=number: make(number))
        assert (found['values'] == number).all()
    assert made == [0, 1, 2, 2]


def test_processes_share_the_bounds_of_a_folder(tmp_path):
    values = {'values': torch.zeros(1000)}

    def filled_by(processes: int, first: int) -> int:
        caches = [FeatureCache(tmp_path, 40_000, 'title', processes) for _ in range(processes)]
        for i, cache in enumerate(caches):
            for number in range(100):
                cache.get(first + 100 * i + number, lambda: values)
        return sum(file.stat().st_size for file in tmp_path.glob('*.pt'))

    # A file holds little more than its tensors.
    assert 15_000 < filled_by(4, 0) < 45_000
    filled = filled_by(1, 1000)
    assert 30_000 < filled < 45_000 and filled_by(2, 2000) < 45_000


@pytest.mark.parametrize('processes, kept', [(1, 2), (2, 1)])
def test_a_task_leaves_other_processes_their_part(tmp_path, monkeypatch, processes, kept):
    whole = tmp_path / 'whole'
    task(replace(SETTINGS, cache=whole)).losses(CONTEXT)
    size = max(file.stat().st_size for file in whole.glob('*.pt'))
    monkeypatch.setattr('fourd_perception.training.heads.process_count', lambda: processes)
    part = replace(SETTINGS, cache=tmp_path / 'part', cache_gigabytes=2.5e-9 * size)
    task(part).losses(CONTEXT)
    assert len([*(tmp_path / 'part').glob('*.pt')]) == kept


def test_a_folder_s_title_is_written_once_and_whole(tmp_path):
    FeatureCache(tmp_path, 10, 'this', 1)
    before = (tmp_path / 'title').stat()
    FeatureCache(tmp_path, 10, 'this', 1)
    after = (tmp_path / 'title').stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [file.name for file in tmp_path.iterdir()] == ['title']
    with pytest.raises(ValueError, match="'this', not of 'that'"):
        FeatureCache(tmp_path, 10, 'that', 1)


def test_what_other_weights_or_digits_said_is_refused(tmp_path):
    settings = replace(SETTINGS, cache=tmp_path)
    task(settings).losses(CONTEXT)
    # What learns is not what says it.
    learnt = task(settings)
    with torch.no_grad():
        learnt.network.motion_head.logit.weight.add_(1)
    learnt.losses(CONTEXT)
    retrained = task(settings)
    # As `start_from` does, once the task is built.
    with torch.no_grad():
        next(retrained.network.cross_view_global_fusion.parameters()).add_(1)
    with pytest.raises(ValueError, match='keeps what was made of'):
        retrained.losses(CONTEXT)
    coarse = task(settings)
    with torch.autocast('cpu', torch.bfloat16), pytest.raises(ValueError, match='bfloat16 SHA-'):
        coarse.losses(CONTEXT)


def test_frozen_clips_hold_what_the_network_says_and_the_truth_in_its_scale():
    network = untrained_network(SETTINGS.network, 0)
    clips = plane_clips(batch=1, size=(28, 42))
    found = frozen_clips(network, clips)
    shapes = {f.name: tuple(getattr(found, f.name).shape[:2]) for f in fields(found)}
    assert set(shapes.values()) == {(1, 3), (1,)} and shapes['log_length'] == (1,)
    tables = network.tables(28, 42)
    with torch.no_grad():
        features = network.trunk(
            network.encode(clips.images[:, 0].float() / 255, tables),
            CellLayout.sequence(3),
            tables,
        )
        depth, _ = network.depth(features, tables)
    assert torch.allclose(found.log_depth, depth.log(), atol=1e-5)
    # True depth in the network's unit is where most of its own is.
    ratio = clips.depth[:, 0].log() - found.log_length[:, None, None, None] - found.log_depth
    assert abs(ratio.median().item()) < 0.2
    assert torch.equal(found.true_poses, clips.world_from_camera[:, 0])


@pytest.mark.parametrize(
    'changes, words', [({'size': (30, 42)}, 'patch'), ({'instants': 1}, '2 instants')]
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(SETTINGS, **changes)

"""Training of VGGT and 4D-VGGT: who learns from what, and where it starts (4D-VGGT B.9, B.12)."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_files import write_safetensors
from fourd_perception.model.checkpoint_layouts import to_vggt
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.network import Network
from fourd_perception.model.untrained import untrained_network
from fourd_perception.training.big import BigPhase, BigSettings, BigTask, HEADS
from fourd_perception.training.big_start import drawn, started
from fourd_perception.training.big_terms import big_terms
from fourd_perception.training.clip_source import SourceSettings
from fourd_perception.training.focus import Focus
from fourd_perception.training.sub_grids import GridSettings
from fourd_perception.training.task import StepContext
from plane_clips import plane_clips
import pytest
from tiny_networks import TINY_BIG
import torch

LAYOUT = CellLayout((0, 0, 0), (0, 1, 2), reference=1)
FOCUS = Focus((0, 1), ((0, 1),))


def network() -> Network:
    return untrained_network(TINY_BIG, seed=0).requires_grad_(True).train()


def tracked_clips() -> Clips:
    """Planes with something that moves, and two points to follow."""
    clips = plane_clips(size=(28, 42))
    clips.dynamic[..., 4:12, 4:20] = 1
    ahead = torch.tensor([[0.0, 0.0, 3.0], [0.3, 0.2, 3.1]])
    return replace(
        clips,
        track_points=ahead.expand(2, 3, 2, 3),
        track_visible=torch.ones(2, 1, 3, 2, dtype=torch.bool),
    )


def parts_of(net: Network) -> dict[str, torch.nn.Module]:
    assert net.flow_module is not None
    return {
        'encoder': net.cross_view_global_fusion.patch_embed,
        'spatial': net.cross_view_global_fusion.global_blocks,
        'temporal': net.cross_time_local_fusion,
        'fusion': net.spatiotemporal_dense_fusion,
        'camera': net.spatial_head,
        'depth': net.dense_head['depth_head'],
        'mask': net.dense_head['mask_head'],
        'points': net.dense_head['point_head'],
        'tracks': net.track_head,
        'flow': net.flow_module,
    }


def reached(net: Network) -> set[str]:
    return {
        name
        for name, part in parts_of(net).items()
        if any(p.grad is not None and p.grad.any() for p in part.parameters())
    }


def total(net: Network, heads: tuple[str, ...], frozen: bool = False) -> torch.Tensor:
    terms = big_terms(net, tracked_clips(), LAYOUT, heads, FOCUS, 2, frozen)
    assert all(term.shape == (2,) and term.isfinite().all() for term in terms.values())
    assert set(terms) == set(heads) | ({'flow_scale'} if 'flow' in heads else set())
    return torch.stack(list(terms.values())).sum()


# Cameras bypass the fusion; tracks read the temporal branch alone (B.6, B.7).
REPRESENTATION = {
    'camera': {'encoder', 'spatial'},
    'depth': {'encoder', 'spatial', 'temporal', 'fusion'},
    'mask': {'encoder', 'spatial', 'temporal', 'fusion'},
    'points': {'encoder', 'spatial', 'temporal', 'fusion'},
    'tracks': {'encoder', 'temporal'},
    'flow': set(),
}


@pytest.mark.parametrize('head', HEADS)
def test_stage_1_trains_one_head_and_the_representation_that_it_reads(head):
    net = network()
    total(net, (head,)).backward()
    assert reached(net) == REPRESENTATION[head] | {head}


def test_stage_2_trains_all_heads_and_no_representation():
    net = network()
    for part in net.trunk_parts:
        part.requires_grad_(False)
    total(net, HEADS, frozen=True).backward()
    assert reached(net) == set(HEADS)


def test_all_heads_together_sum_up_what_each_asks_for():
    net = network()
    together = big_terms(net, tracked_clips(), LAYOUT, HEADS, FOCUS, 2)
    for head in HEADS:
        alone = big_terms(net, tracked_clips(), LAYOUT, (head,), FOCUS, 2)
        assert torch.allclose(alone[head], together[head], atol=1e-5), head


def test_a_clip_s_terms_do_not_depend_on_the_clips_beside_it():
    net, clips = network(), tracked_clips()
    # Not the tracker's: its embedding of 1000 radians a pixel makes much of the last digit.
    heads = [head for head in HEADS if head != 'tracks']
    together = big_terms(net, clips, LAYOUT, heads, FOCUS, 2)
    for i in range(2):
        alone = big_terms(net, clips[i : i + 1], LAYOUT, heads, FOCUS, 2)
        for name, term in alone.items():
            assert torch.allclose(term[0], together[name][i], atol=1e-4), name


def settings(**changes: object) -> BigSettings:
    plain = GridSettings((2, 2), views=1, banded=0.0, strided=0.0, portrait=0.0)
    given = {
        'preset': 'tiny',
        'size': (28, 42),
        'grids': plain,
        'phases': (BigPhase(heads=('camera', 'depth', 'mask', 'flow')),),
        'source': SourceSettings(scenes=(3,)),
    }
    return BigSettings(**{**given, **changes})


@pytest.mark.parametrize('frozen', ['nothing', 'encoder', 'representation'])
def test_what_is_frozen_neither_learns_nor_moves(frozen):
    task = settings(frozen=frozen).build(torch.device('cpu'))
    still = {n for n, p in task.network.named_parameters() if not p.requires_grad}
    prefix = 'cross_view_global_fusion.patch_embed.'
    if frozen == 'representation':
        heads = ('spatial_head.', 'dense_head.', 'flow_module.')
        assert still == {n for n, _ in task.network.named_parameters() if not n.startswith(heads)}
    else:
        expected = {n for n, _ in task.network.named_parameters() if n.startswith(prefix)}
        assert still == (expected if frozen == 'encoder' else set())
    context = StepContext(0, 0.0, (2**31, 2**31 + 1), torch.device('cpu'))
    torch.stack(list(task.losses(context).values())).sum().backward()
    moved = {n for n, p in task.network.named_parameters() if p.grad is not None}
    assert moved and not moved & still


def test_phases_follow_the_progress_and_weights_count():
    phases = (BigPhase(0.5, ('camera',)), BigPhase(1.0, ('depth', 'flow')))
    task: BigTask = settings(phases=phases).build(torch.device('cpu'))
    seeds = (2**31, 2**31 + 1)
    early = task.losses(StepContext(3, 0.2, seeds, torch.device('cpu')))
    late = task.losses(StepContext(3, 0.7, seeds, torch.device('cpu')))
    assert set(early) == set(late)
    assert {n for n, t in early.items() if t.any()} == {'camera'}
    assert {n for n, t in late.items() if t.any()} == {'depth', 'flow', 'flow_scale'}
    doubled = replace(task.settings, weights=replace(task.settings.weights, camera=2.0))
    twice = BigTask(task.network, doubled).losses(StepContext(3, 0.2, seeds, torch.device('cpu')))
    assert torch.allclose(twice['camera'], 2 * early['camera'])


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'preset': 'giant'}, 'giant'),
        ({'size': (30, 42)}, 'patch, 14'),
        ({'phases': (BigPhase(heads=('points',)),)}, 'tiny has'),
        ({'phases': (BigPhase(0.5),)}, 'until'),
        ({'grids': GridSettings()}, 'banded'),
    ],
)
def test_settings_that_fit_no_network_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        settings(**changes)


def test_a_vggt_becomes_a_fourd_vggt_whose_mask_head_starts_as_the_depth_head(tmp_path):
    vggt = replace(TINY_BIG, temporal=None, mask=None, flow=None, tracks=None)
    source = untrained_network(vggt, seed=1)
    path = tmp_path / 'model.safetensors'
    tensors = {to_vggt(name): t for name, t in source.state_dict().items()}
    write_safetensors(path, tensors, {CONFIG_KEY: config_to_json(vggt)}, None)
    net = started(TINY_BIG, str(path)).eval()
    images = torch.rand(1, 3, 3, 28, 42)
    tables = net.tables(28, 42)
    with torch.no_grad():
        new = net.depth(net.trunk(net.encode(images, tables), LAYOUT, tables), tables)
        old = source.depth(source.trunk(source.encode(images, tables), LAYOUT, tables), tables)
    assert torch.equal(new[0], old[0])
    depth, mask = (net.dense_head[f'{name}_head'].state_dict() for name in ('depth', 'mask'))
    same = {name for name in depth if torch.equal(depth[name], mask[name])}
    assert set(depth) - same == {
        'scratch.output_conv2.2.weight', 'scratch.output_conv2.2.bias'
    }  # fmt: skip


def test_a_file_of_another_network_is_no_start(tmp_path):
    other = replace(TINY_BIG, trunk=replace(TINY_BIG.trunk, dim=24))
    path = tmp_path / 'model.safetensors'
    state = untrained_network(other, seed=1).state_dict()
    write_safetensors(path, state, {CONFIG_KEY: config_to_json(other)}, None)
    with pytest.raises(ValueError, match='of another shape'):
        started(TINY_BIG, str(path))


def test_drawn_networks_see_a_field_of_about_one_radian():
    net = drawn(TINY_BIG).eval()
    tables = net.tables(28, 42)
    features = net.trunk(net.encode(torch.rand(1, 3, 3, 28, 42), tables), LAYOUT, tables)
    field = net.cameras(features)[-1][..., 7:]
    assert torch.allclose(field, torch.ones_like(field))

"""Training of the flow module: loss, samples, task and table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fourd_perception.evaluation.clip_evaluation import NETWORK
from fourd_perception.geometry.clips import OCCLUDED, VISIBLE
from fourd_perception.model.checkpoint_files import write_safetensors
from fourd_perception.model.heads.flow import FlowConfig, FlowEstimate, FlowModule
from fourd_perception.model.untrained import untrained_small
from fourd_perception.training.checkpoints import weights_metadata
from fourd_perception.training.config import read_config
from fourd_perception.training.flow import (
    drawn_pairs,
    FlowSettings,
    FlowStage,
    FlowTask,
    held_out_pairs,
)
from fourd_perception.training.flow_loss import flow_loss
from fourd_perception.training.flow_table import error_table, flow_module, main
from fourd_perception.training.task import StepContext
import pytest
from tiny_networks import TINY_SMALL
import torch
from torch import nn

CPU = torch.device('cpu')
SMALL = FlowConfig(updates=2, width=16, fine_width=(8, 8))
STAGE = FlowStage(size=(48, 64))


def estimate_of(*flows: torch.Tensor, log_scale: torch.Tensor | None = None) -> FlowEstimate:
    if log_scale is None:
        log_scale = torch.zeros_like(flows[-1][:, :1])
    return FlowEstimate(flows[-1], log_scale, flows[:-1])


def truth_of_one_pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Flow [1, 2, 4, 4] of an estimate, and truth and occlusion of the one pair of one sample."""
    flow = torch.zeros(1, 2, 4, 4)
    return flow, flow[:, None], torch.full((1, 1, 4, 4), VISIBLE)


def test_loss_of_known_errors():
    flow, truth, seen = truth_of_one_pair()
    off = flow + torch.tensor([3.0, 4.0])[:, None, None]  # 5 px
    loss, _ = flow_loss(estimate_of(off, flow), truth, seen)
    assert loss.tolist() == pytest.approx([0.85 * 5.01**0.5 + 0.1], rel=1e-4)


def test_hidden_pixels_count_less_but_a_pair_counts_the_same():
    flow, truth, seen = truth_of_one_pair()
    hidden = seen.clone()
    hidden[..., :2] = OCCLUDED
    wrong_hidden, wrong_seen = flow.clone(), flow.clone()
    wrong_hidden[..., :2], wrong_seen[..., 2:] = 5.0, 5.0
    less, _ = flow_loss(estimate_of(wrong_hidden), truth, hidden)
    more, _ = flow_loss(estimate_of(wrong_seen), truth, hidden)
    assert less < 0.6 * more
    all_hidden, _ = flow_loss(estimate_of(flow + 5), truth, torch.full_like(seen, OCCLUDED))
    none_hidden, _ = flow_loss(estimate_of(flow + 5), truth, seen)
    assert all_hidden.item() == pytest.approx(none_hidden.item())


def test_what_is_unknown_has_no_say_and_a_sample_without_truth_loses_nothing():
    flow, truth, seen = truth_of_one_pair()
    partly = truth.clone()
    partly[..., :2] = torch.nan
    wrong = flow.clone()
    wrong[..., :2] = 9.0
    known, _ = flow_loss(estimate_of(wrong), partly, seen)
    right, _ = flow_loss(estimate_of(flow), truth, seen)
    torch.testing.assert_close(known, right)
    losses = flow_loss(estimate_of(wrong), torch.full_like(truth, torch.nan), seen)
    assert [x.item() for x in losses] == [0.0, 0.0]


def test_the_log_scale_is_best_at_the_logarithm_of_the_error_and_moves_no_flow():
    flow, truth, seen = truth_of_one_pair()
    flow = (flow + 2.0).requires_grad_()
    error = 8.0**0.5
    values = torch.linspace(-2, 4, 61)
    losses = [
        flow_loss(estimate_of(flow, log_scale=torch.full((1, 1, 4, 4), s.item())), truth, seen)[1]
        for s in values
    ]
    best = values[torch.stack(losses).argmin()].item()
    assert best == pytest.approx(torch.tensor(error).log().item(), abs=0.06)
    assert not losses[0].requires_grad


def test_a_sample_is_a_function_of_its_seed():
    seeds = (2**31, 2**31 + 1, 2**32 - 1)
    together = drawn_pairs(seeds, STAGE, CPU)
    alone = [drawn_pairs((seed,), STAGE, CPU).images for seed in seeds]
    assert together.images.shape == (3, 1, 2, 3, 48, 64)
    # Layered pairs come first; the samples of a step have no order.
    assert all(any(torch.equal(one[0], other) for other in together.images) for one in alone)
    for share in (0.0, 1.0):
        clips = drawn_pairs(seeds[:1], replace(STAGE, layered=share), CPU)
        assert clips.flow_forward[0, 0, 0].isfinite().any()
        assert clips.depth.isfinite().any() == (share == 0.0)


def test_a_few_steps_on_one_batch_lower_its_error():
    torch.manual_seed(0)
    layered = FlowSettings(SMALL, (replace(STAGE, layered=1.0),))
    task = FlowTask(FlowModule(SMALL), layered)
    optimizer = torch.optim.AdamW(task.network.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        terms = task.losses(StepContext(0, 0.5, (2**31 + 7, 2**31 + 9), CPU))
        assert {name: term.shape for name, term in terms.items()} == {
            'flow': (2,),
            'flow_scale': (2,),
        }
        sum(term.mean() for term in terms.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(terms['flow'].mean().item())
    assert losses[-1] < 0.9 * losses[0]


def test_validation_and_table_know_every_kind_and_bin():
    task = FlowTask(FlowModule(SMALL).eval(), FlowSettings(SMALL, (STAGE,)))
    errors = task.validate(task.network, 3)
    assert {name.split('_')[0] for name in errors} == {'layered', 'scenes'}
    assert errors['layered_epe_0_1'] > 0
    assert all(picture.ndim == 3 for picture in task.pictures(task.network).values())
    clips = held_out_pairs((48, 64), 3, CPU)['layered']
    table = error_table('layered', clips, {NETWORK: task.network})
    assert table.methods == (NETWORK, 'DIS', 'zero flow')
    first = table.rows[0]
    truth = clips[0].flow_forward[:, 0, 0]
    length = truth.norm(dim=1)
    assert first.values['zero flow'] == pytest.approx(length[length < 1].mean().item(), rel=1e-4)
    assert first.values[NETWORK] == pytest.approx(errors['layered_epe_0_1'], rel=1e-5)


def written(path: Path, network: nn.Module) -> Path:
    write_safetensors(path, network.state_dict(), weights_metadata(network, None))
    return path


def test_the_table_has_a_column_for_all_weights_that_hold_a_flow_module(tmp_path, capsys):
    module, network = FlowModule(SMALL), untrained_small(TINY_SMALL, 0)
    alone = written(tmp_path / 'alone.safetensors', module)
    inside = written(tmp_path / 'network.safetensors', network)
    for path, expected in ((alone, module), (inside, network.flow_module)):
        found = flow_module(str(path))
        assert not found.training and found.config == expected.config
        assert all(torch.equal(found.state_dict()[n], t) for n, t in expected.state_dict().items())

    main([str(alone), str(inside), '--pairs', '1', '--size', '64', '48'])
    said = capsys.readouterr().out
    assert said.count(f'|  | {alone} | {inside} | untrained | DIS | zero flow | of |') == 2
    assert '## layered, 64x48' in said and '## scenes, 64x48' in said


def test_weights_without_a_flow_module_have_no_table(tmp_path):
    network = untrained_small(replace(TINY_SMALL, flow=None), 0)
    without = written(tmp_path / 'without.safetensors', network)
    with pytest.raises(ValueError, match='holds no flow module'):
        main([str(without)])


def test_the_configuration_is_read_and_bad_stages_are_refused():
    config = read_config(Path(__file__).parents[2] / 'config/train/flow.yaml')
    assert isinstance(config.task, FlowSettings) and config.task.stages[-1].until == 1.0
    with pytest.raises(ValueError, match='share from 0 to 1'):
        FlowStage(layered=1.5)
    with pytest.raises(ValueError, match='multiples of 16'):
        FlowStage(size=(50, 64))

"""Training of the flow module: loss, schedule, table, and the command itself."""

from __future__ import annotations

import subprocess
import sys

from fourd_perception.model.heads.flow import FlowConfig, FlowEstimate, FlowModule
from fourd_perception.training.flow import held_out_pairs
from fourd_perception.training.flow_loss import flow_loss
from fourd_perception.training.flow_table import dis_flow, error_table, zero_flow
from fourd_perception.training.schedule import rate_factor
import pytest
import torch


def estimate_of(*flows: torch.Tensor, log_scale: torch.Tensor | None = None) -> FlowEstimate:
    if log_scale is None:
        log_scale = torch.zeros_like(flows[-1][:, :1])
    return FlowEstimate(flows[-1], log_scale, flows[:-1])


def test_rate_rises_stays_and_falls_to_zero():
    assert rate_factor(0.0) == 0.0
    assert rate_factor(0.015) == pytest.approx(0.5)
    assert [rate_factor(x) for x in (0.03, 0.5, 0.8)] == pytest.approx([1.0, 1.0, 1.0])
    assert rate_factor(0.9) == pytest.approx(0.5)
    assert rate_factor(1.0) == rate_factor(1.2) == 0.0


def test_loss_of_known_errors():
    truth = torch.zeros(1, 2, 4, 4)
    seen = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    off = truth + torch.tensor([3.0, 4.0])[:, None, None]  # 5 px
    loss, _ = flow_loss(estimate_of(off, truth), truth, seen)
    assert loss.item() == pytest.approx(0.85 * 5.01**0.5 + 0.1, rel=1e-4)


def test_hidden_pixels_count_less_but_a_pair_counts_the_same():
    truth = torch.zeros(1, 2, 4, 4)
    hidden = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    hidden[..., :2] = True
    wrong_hidden, wrong_seen = truth.clone(), truth.clone()
    wrong_hidden[..., :2], wrong_seen[..., 2:] = 5.0, 5.0
    less, _ = flow_loss(estimate_of(wrong_hidden), truth, hidden)
    more, _ = flow_loss(estimate_of(wrong_seen), truth, hidden)
    assert less < 0.5 * more
    everywhere = truth + 5.0
    all_hidden, _ = flow_loss(estimate_of(everywhere), truth, torch.ones_like(hidden))
    none_hidden, _ = flow_loss(estimate_of(everywhere), truth, torch.zeros_like(hidden))
    assert all_hidden.item() == pytest.approx(none_hidden.item())


def test_the_log_scale_is_best_at_the_logarithm_of_the_error_and_moves_no_flow():
    truth, seen = torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    flow = (truth + 2.0).requires_grad_()
    error = 8.0**0.5
    values = torch.linspace(-2, 4, 61)
    losses = [
        flow_loss(estimate_of(flow, log_scale=torch.full((1, 1, 4, 4), s.item())), truth, seen)[1]
        for s in values
    ]
    best = values[torch.stack(losses).argmin()].item()
    assert best == pytest.approx(torch.tensor(error).log().item(), abs=0.06)
    assert not losses[0].requires_grad


def test_table_knows_zero_flow_and_dis():
    pairs = held_out_pairs(8)
    table = error_table(pairs, {'zero flow': zero_flow, 'DIS': dis_flow})
    rows = {line.split(' | ')[0].strip('| '): line for line in table.splitlines()}
    zero, dis = (
        [float(x) for x in rows[n].strip('| ').split(' | ')[1:]] for n in ('zero flow', 'DIS')
    )
    truth = torch.cat([p.flow[0] for p in pairs]).norm(dim=1)
    assert zero[0] == pytest.approx(truth.mean().item(), abs=0.006)
    assert dis[1] < zero[1]


def test_the_command_trains_prints_and_saves(tmp_path):
    file = tmp_path / 'flow.pt'
    result = subprocess.run(
        [
            sys.executable, '-m', 'fourd_perception.training.flow', '--minutes', '0.05',
            '--pairs', '1', '--held-out', '2', '--output', str(file),
        ],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert 'steps of 1 pairs' in result.stdout and '| trained |' in result.stdout
    saved = torch.load(file, weights_only=True)
    FlowModule(FlowConfig(**saved['config'])).load_state_dict(saved['model'])

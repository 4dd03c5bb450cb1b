"""The cost of networks: what is counted, and that the plain forward is the same network."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.cli import main
from fourd_perception.evaluation.bench_stages import BenchSettings
from fourd_perception.evaluation.network_bench import bench_model, measured
from fourd_perception.model import presets
import pytest
import torch

TINY = presets.PRESETS['tiny']
FEW = BenchSettings('tiny', views=1, times=2, width=42, height=28, repeats=1)


def row(lines: list[str], stage: str) -> list[float]:
    """Figures of a stage in the first table."""
    return [float(x) for x in next(line for line in lines if line.startswith(stage)).split()[1:]]


@pytest.mark.parametrize('temporal', ['window_attention', None])
def test_the_plain_forward_gives_the_same_numbers(monkeypatch, temporal):
    whole = replace(TINY, points=TINY.depth, temporal=temporal)
    monkeypatch.setitem(presets.PRESETS, 'whole', whole)
    lines = list(bench_model(replace(FEW, preset='whole', precision='bf16')))
    plain = next(line for line in lines if 'plain unfused forward' in line)
    assert all(
        float(word.strip(',')) < 1e-5 for word in plain.split('difference:')[1].split()[1::2]
    )
    assert 'bf16 against fp32' in lines[-1] and 'point_head' in lines[-1]


def test_flops_are_those_of_the_formula(monkeypatch):
    """Encoder and linear layers of spec/performance.md section 4, by hand for one block each."""
    dim, tokens, frames = 256, 20 * 20 + 5, 2
    trunk = replace(TINY.trunk, dim=dim, heads=4)
    monkeypatch.setitem(presets.PRESETS, 'wide', replace(TINY, trunk=trunk, temporal=None))
    lines = list(bench_model(replace(FEW, preset='wide', width=280, height=280)))
    linear = 2 * trunk.depth * 24 * dim**2 * tokens * frames
    attention = trunk.depth * 4 * dim * tokens**2 * (frames + frames**2)
    encode, following = row(lines, 'encode')[1::2]
    assert row(lines, 'trunk')[1] == pytest.approx((linear + attention) / 1e9, rel=0.01, abs=0.06)
    assert encode == pytest.approx(2 * 3 * 14**2 * dim * 400 * frames / 1e9, abs=0.06)
    assert row(lines, 'depth')[3] == pytest.approx(row(lines, 'depth')[1] / 2, abs=0.11)


def test_peak_memory_is_that_of_the_stage_alone():
    def allocate() -> None:
        torch.ones(50_000_000)  # 200 MB

    before = measured(lambda: None, 0, FEW).peak
    during = measured(allocate, 0, FEW).peak
    after = measured(lambda: None, 0, FEW).peak
    assert 190e6 < during - before < 260e6
    assert after - before < 50e6


def test_the_verb_prints_a_table_and_refuses_a_size_that_is_none(capsys):
    small = ['bench', 'model', '--views', '1', '--times', '2', '--repeats', '1', '--size']
    assert main([*small, '42x28']) == 0
    printed = capsys.readouterr().out
    assert 'tiny: ' in printed and 'encode' in printed and 'peak MB' in printed
    assert main([*small, 'network']) == 2
    assert '--size network: give WxH' in capsys.readouterr().err
    assert main([*small, '50x50']) == 2
    assert 'patches of 14' in capsys.readouterr().err
    assert main(['bench', 'model', '--preset', 'nothing']) == 2
    assert "'nothing'" in capsys.readouterr().err
    assert main(['bench', 'model', '--device', 'nothing']) == 2
    assert "device 'nothing': give cpu" in capsys.readouterr().err
    for option in ('--views', '--times', '--repeats'):
        with pytest.raises(SystemExit):
            main(['bench', 'model', option, '0'])
        assert "'0' is not a whole number above 0" in capsys.readouterr().err


def test_the_small_network_is_measured_stage_by_stage():
    settings = replace(FEW, preset='fourd-small', views=2, width=64, height=48, precision='bf16')
    lines = list(bench_model(settings))
    for stage in ('encode', 'trunk', 'depth', 'mask', 'flow'):
        _, work, _, following, _ = row(lines, stage)
        assert work > 0 and following <= work, stage
    assert row(lines, 'encode')[3] == pytest.approx(row(lines, 'encode')[1] / 2, abs=0.1)

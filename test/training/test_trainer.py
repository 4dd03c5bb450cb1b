"""The loop against a plain one; what it does with bad steps, unbalanced terms, other weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod
import json
from pathlib import Path

from fourd_perception.training import gradient_norms, trainer
from fourd_perception.training.checkpoints import read_checkpoint
from fourd_perception.training.config import StartFrom, TrainingConfig
from fourd_perception.training.optimisers import block_matrices, decaying_names
from fourd_perception.training.sample_seeds import sample_seeds
from fourd_perception.training.schedule import rate_factor
from fourd_perception.training.task import StepContext
from fourd_perception.training.trainer import train
from fourd_perception.training.training_log import read_log
from PIL import Image
import pytest
from safetensors.torch import load_file
import torch
from toy_task import ToyConfig, ToyNetwork, ToySettings, ToyTask

CONFIG = TrainingConfig(
    ToySettings(), steps=12, batch=8, rate=2e-3, precision='fp32', device='cpu'
)


def run(out: Path, config: TrainingConfig = CONFIG, **options) -> list[dict]:
    """Train, quietly; the lines of the log."""
    assert train(config, out, options.pop('resume', None), say=options.pop('say', str)) == 0
    return read_log(out / 'log.jsonl')


def losses(lines: list[dict]) -> list[float]:
    return [line['loss'] for line in lines if line['kind'] == 'step']


def weights(out: Path, name: str = 'last.pt') -> dict[str, torch.Tensor]:
    """The weights under training."""
    return read_checkpoint(out / name)['training']['weights']


def assert_close(left: dict, right: dict, tolerance: float = 1e-6) -> None:
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], rtol=0, atol=tolerance, msg=name)


def plain_training(config: TrainingConfig) -> tuple[list[float], dict, dict]:
    """Losses, weights and averaged weights of a training as a textbook writes it."""
    torch.manual_seed(config.seed)
    task = config.task.build(torch.device('cpu'))
    network = task.network
    averaged = {name: p.detach().clone() for name, p in network.named_parameters()}
    groups = {True: [], False: []}
    for name, p in network.named_parameters():
        decays = name.endswith('weight') and 'norm' not in name
        groups[decays].append(p)
    optimiser = torch.optim.AdamW(
        [
            {'params': groups[True], 'weight_decay': config.weight_decay},
            {'params': groups[False], 'weight_decay': 0.0},
        ],
        betas=(0.9, 0.95),
        foreach=False,
    )
    found = []
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group['lr'] = config.rate * rate_factor(step / config.steps)
        seeds = sample_seeds(config.seed, step, config.batch, range(config.batch))
        context = StepContext(step, step / config.steps, seeds, torch.device('cpu'))
        loss = sum(term.mean() for term in task.losses(context).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        decay = min(config.average, (1 + step) / (10 + step))
        for name, p in network.named_parameters():
            averaged[name] = decay * averaged[name] + (1 - decay) * p.detach()
        found.append(loss.item())
    return found, network.state_dict(), averaged


@pytest.mark.parametrize('micro_batch', [None, 2])
def test_a_training_is_the_textbook_loop(tmp_path, micro_batch):
    config = replace(CONFIG, micro_batch=micro_batch)
    expected, plain, averaged = plain_training(config)
    assert losses(run(tmp_path, config)) == pytest.approx(expected, rel=1e-5)
    assert_close(weights(tmp_path), plain)
    assert_close(dict(read_checkpoint(tmp_path / 'last.pt')['model']), averaged)


def test_it_learns_and_leaves_files_to_use_and_to_look_at(tmp_path):
    config = replace(CONFIG, steps=150, batch=16, average=0.9)
    said: list[str] = []
    lines = run(tmp_path, config, say=said.append)
    assert sum(losses(lines)[-10:]) < 0.2 * sum(losses(lines)[:10])
    *_, validation = lines
    assert validation['kind'] == 'validation' and validation['errors']['distance'] < 0.5
    assert 'averaged weights' in said[0] and 'distance' in said[1]
    # What ships is the average at the end, in bf16.
    averaged = read_checkpoint(tmp_path / 'last.pt')['model']
    shipped = load_file(tmp_path / 'weights' / 'model.safetensors')
    assert all(torch.equal(shipped[n], t.bfloat16()) for n, t in averaged.items())
    assert Image.open(tmp_path / 'pictures' / 'grey_0000150.png').size == (6, 4)
    assert list(tmp_path.glob('events.out.tfevents*'))
    rates = [line['rate'] for line in lines if line['kind'] == 'step']
    assert rates[0] == 0 and rates[75] == 2e-3 and rates[-1] < 1e-4


def test_cut_off_at_its_end_a_training_has_its_weights_or_can_be_resumed(tmp_path, monkeypatch):
    run(tmp_path / 'whole')
    for broken, part in ((ToyTask, 'validate'), (trainer, 'write_parts')):
        with monkeypatch.context() as cut, pytest.raises(OSError, match='power cut'):
            cut.setattr(broken, part, power_cut)
            run(tmp_path / part)
    shipped = [
        load_file(tmp_path / n / 'weights/model.safetensors') for n in ('whole', 'validate')
    ]
    assert_close(*shipped)
    assert not (tmp_path / 'write_parts' / 'weights').exists()
    resume = tmp_path / 'write_parts' / 'before_decay.pt'
    assert not resume.with_name('last.pt').exists()
    run(tmp_path / 'write_parts', resume=resume)
    assert_close(load_file(tmp_path / 'write_parts/weights/model.safetensors'), shipped[0])


def power_cut(*_: object) -> None:
    raise OSError('power cut')


def test_a_longer_training_goes_on_from_before_the_decay(tmp_path):
    run(tmp_path / 'short')
    long = replace(CONFIG, steps=24)
    resume = tmp_path / 'short' / 'before_decay.pt'
    assert read_checkpoint(resume)['training']['position']['step'] == 10
    lines = run(tmp_path / 'short', long, resume=resume)
    assert [x['step'] for x in lines if x['kind'] == 'step'] == list(range(1, 25))
    rates = {x['step']: x['rate'] for x in lines if x['kind'] == 'step'}
    assert all(rates[step] == CONFIG.rate for step in range(11, 21))


def test_recomputed_blocks_and_other_optimisers(tmp_path):
    usual = losses(run(tmp_path / 'usual'))
    recomputed = losses(run(tmp_path / 'recomputed', replace(CONFIG, recompute=True)))
    assert recomputed == usual
    muon = losses(run(tmp_path / 'muon', replace(CONFIG, optimiser='muon', steps=100)))
    assert sum(muon[-5:]) < 0.5 * sum(muon[:5])
    bf16 = losses(run(tmp_path / 'bf16', replace(CONFIG, precision='bf16')))
    assert bf16 != usual and bf16 == pytest.approx(usual, rel=0.05)
    assert weights(tmp_path / 'bf16')['embed.weight'].dtype == torch.float32


def test_blocks_may_be_compiled(tmp_path, monkeypatch):
    # The compiler of C++ takes half a minute; what precedes it is the real one.
    quick = partialmethod(torch.nn.Module.compile, backend='aot_eager')
    monkeypatch.setattr(torch.nn.Module, 'compile', quick)
    usual = run(tmp_path / 'usual', replace(CONFIG, steps=3))
    compiled = run(tmp_path / 'compiled', replace(CONFIG, steps=3, compile=True))
    assert losses(compiled) == pytest.approx(losses(usual), rel=1e-5)
    assert_close(weights(tmp_path / 'compiled'), weights(tmp_path / 'usual'))


def test_what_decays_and_what_muon_takes():
    network = ToyNetwork(ToyConfig(depth=1))
    network.table = torch.nn.Embedding(4, 4)
    matrices = {f'trunk.0.{n}.weight' for n in ('attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2')}
    assert block_matrices(network) == matrices
    heads = {f'{n}.weight' for n in ('embed', 'centre', 'radius', 'rare')}
    assert decaying_names(network) == matrices | heads


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(tmp_path):
    broken = replace(CONFIG, task=ToySettings(broken_from=5, broken_to=7))
    lines = run(tmp_path, broken)
    bad = [line['step'] for line in lines if line['kind'] == 'step' and line['loss'] is None]
    assert bad == [6, 7] and lines[-2]['skipped'] == 2
    assert all(t.isfinite().all() for t in weights(tmp_path).values())


def test_bad_steps_among_good_ones_do_not_end_a_training(tmp_path):
    now_and_then = ToySettings(broken_from=0, broken_to=40, broken_every=2)
    lines = run(tmp_path, replace(CONFIG, task=now_and_then, steps=40))
    assert lines[-2]['skipped'] == 20


def test_too_many_of_them_in_a_row_end_it_before_a_file_is_spoilt(tmp_path):
    broken = replace(CONFIG, task=ToySettings(broken_from=2), steps=100)
    with pytest.raises(ValueError, match='the terms mean are not finite in 10 steps in a row'):
        run(tmp_path, broken)
    assert not (tmp_path / 'last.pt').exists()
    assert len(read_log(tmp_path / 'log.jsonl')) == 11


def test_the_pull_of_every_term_is_compared_and_balanced_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, 'EVERY_STEPS', 5)
    uneven = replace(CONFIG, task=ToySettings(scale=100.0))
    said: list[str] = []
    lines = run(tmp_path / 'warned', uneven, say=said.append)
    first, second = (line for line in lines if line['kind'] == 'gradients')
    assert first['step'] == 5 and second['step'] == 10
    assert first['norms']['radius'] > 5 * first['norms']['mean'] > 0
    assert 'gradient of radius at the trunk is' in said[0] and 'balance: true' in said[0]

    lines = run(tmp_path / 'balanced', replace(uneven, balance=True))
    first, second = (line for line in lines if line['kind'] == 'gradients')
    pulls = [first['norms'][n] * first['weights'][n] for n in ('mean', 'radius', 'rare')]
    assert max(pulls) <= 5.0001 * min(pulls)
    assert first['weights']['radius'] < 1
    # What counts from then on.
    step = next(line for line in lines if line['step'] == 6)
    weighted = sum(first['weights'][name] * term for name, term in step['terms'].items())
    assert step['loss'] == pytest.approx(weighted)


def test_resumed_where_terms_are_compared_it_goes_on_as_if_it_had_never_ended(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer, 'EVERY_STEPS', 5)
    config = replace(CONFIG, task=ToySettings(scale=100.0, noisy=True), balance=True)
    whole, kept = run(tmp_path, config), weights(tmp_path)
    before = tmp_path / 'before_decay.pt'
    assert read_checkpoint(before)['training']['position']['step'] == 10
    resumed = run(tmp_path, config, resume=before)
    assert losses(resumed) == losses(whole)
    comparisons = [
        [(x['step'], x['norms'], x['weights']) for x in lines if x['kind'] == 'gradients']
        for lines in (whole, resumed)
    ]
    assert [step for step, *_ in comparisons[0]] == [5, 10] and comparisons[0] == comparisons[1]
    assert_close(weights(tmp_path), kept, 0.0)


def test_norms_of_terms_are_those_of_their_own_gradients():
    trunk = torch.nn.Linear(2, 2, bias=False)
    terms = {'a': lambda x: x.sum(), 'b': lambda x: 7 * x.sum(), 'none': lambda x: 0 * x.sum()}

    def backward(weights):
        out = trunk(torch.ones(1, 2))
        sum(weights.get(name, 1.0) * term(out) for name, term in terms.items()).backward()
        return terms

    norms = gradient_norms.term_norms(backward, lambda: list(trunk.parameters()))
    assert norms == {'a': pytest.approx(2.0), 'b': pytest.approx(14.0), 'none': 0.0}
    assert '7.0 times that of a' in gradient_norms.unbalanced(norms)
    assert gradient_norms.unbalanced({'a': 1.0, 'b': 5.0, 'none': 0.0}) is None
    scaled = gradient_norms.balanced(gradient_norms.telling(norms))
    assert scaled['b'] * 14 / (scaled['a'] * 2) == pytest.approx(5.0)


def test_terms_that_say_nothing_are_told_from_those_that_say_little():
    silent = {'pose': 8e-9, 'mask': 0.0, 'broken': float('nan')}
    norms = {'depth': 1.0, 'gradient': 7.0, **silent}
    assert gradient_norms.telling(norms) == {'depth': 1.0, 'gradient': 7.0}
    assert gradient_norms.telling({**norms, 'pose': 1e-3}).keys() == {'depth', 'gradient', 'pose'}
    assert '7.0 times that of depth' in gradient_norms.unbalanced(norms)
    assert gradient_norms.balanced(gradient_norms.telling(silent)).keys() == {'pose'}
    assert gradient_norms.telling({'mask': 0.0}) == gradient_norms.balanced({}) == {}


def test_a_term_that_rests_while_terms_are_compared_stays_balanced(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, 'EVERY_STEPS', 5)
    lines = run(tmp_path, replace(CONFIG, task=ToySettings(scale=100.0), balance=True))
    told, resting = (line for line in lines if line['kind'] == 'gradients')
    assert told['norms']['rare'] > 0 and resting['norms']['rare'] == 0
    norms = {**resting['norms'], 'rare': told['norms']['rare']}
    pulls = [norm * resting['weights'][name] for name, norm in norms.items()]
    assert max(pulls) <= 5.0001 * min(pulls)


def test_weights_of_another_training_are_taken_over_by_name(tmp_path):
    run(tmp_path / 'first')
    averaged = read_checkpoint(tmp_path / 'first' / 'last.pt')['model']
    for source in ('last.pt', 'weights'):
        begun = replace(
            CONFIG, steps=1, seed=1, start_from=(StartFrom(str(tmp_path / 'first' / source)),)
        )
        run(tmp_path / f'from {source}', begun)
        # The first step has the rate 0.
        assert_close(weights(tmp_path / f'from {source}'), averaged, 1e-2)


def test_names_that_differ_must_be_allowed(tmp_path):
    from fourd_perception.training.warm_start import start_from

    network = ToyNetwork(ToyConfig())
    state = {name.removeprefix('trunk.'): t + 1 for name, t in network.state_dict().items()}
    part = {n: t for n, t in state.items() if n.startswith('0.') and not n.startswith('0.norm1')}
    torch.save({**part, 'old': torch.zeros(1)}, tmp_path / 'part.pt')
    source = StartFrom(str(tmp_path / 'part.pt'), into='trunk.')
    with pytest.raises(ValueError, match='missing') as caught:
        start_from(network, source)
    assert '1 unknown to the network' in str(caught.value) and 'trunk.old' in str(caught.value)
    before = network.state_dict()['trunk.0.norm1.weight'].clone()
    start_from(network, replace(source, missing=('0.norm1', '1.'), unused=('old',)))
    assert torch.equal(network.state_dict()['trunk.0.norm1.weight'], before)
    assert torch.equal(network.state_dict()['trunk.0.mlp.fc1.weight'], state['0.mlp.fc1.weight'])
    with pytest.raises(ValueError, match='no name in common'):
        start_from(network, replace(source, into='x.', unused=('',)))
    torch.save({'embed.weight': torch.zeros(3, 2)}, tmp_path / 'odd.pt')
    with pytest.raises(ValueError, match=r'embed.weight \[3, 2\] instead of \[16, 2\]'):
        start_from(network, StartFrom(str(tmp_path / 'odd.pt'), missing=('',)))


def test_a_training_is_neither_overwritten_nor_mixed_with_another(tmp_path):
    run(tmp_path)
    with pytest.raises(FileExistsError, match='--resume goes on with it'):
        run(tmp_path)
    with pytest.raises(ValueError, match=r'has had its 12 steps; .*before_decay.pt'):
        run(tmp_path, resume=tmp_path / 'last.pt')
    with pytest.raises(ValueError, match=r'rate was 0.002 and is 0.1'):
        run(tmp_path, replace(CONFIG, rate=0.1, steps=20), resume=tmp_path / 'last.pt')
    with pytest.raises(FileNotFoundError, match='nothing to resume'):
        run(tmp_path, resume=tmp_path / 'lost.pt')
    with pytest.raises(ValueError, match='micro_batch 3 does not divide the 8 samples'):
        run(tmp_path / 'new', replace(CONFIG, micro_batch=3))


def test_the_newest_lines_of_the_log_may_be_cut_off(tmp_path):
    run(tmp_path)
    log = tmp_path / 'log.jsonl'
    log.write_text(log.read_text() + json.dumps({'kind': 'step', 'step': 13})[:-4])
    lines = run(tmp_path, replace(CONFIG, steps=14), resume=tmp_path / 'last.pt')
    assert [x['step'] for x in lines if x['kind'] == 'step'] == list(range(1, 15))

"""The real command line: killed and resumed, asked to stop, and in two processes."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

from fourd_perception.cli import main
from fourd_perception.training.checkpoints import read_checkpoint
from fourd_perception.training.stop_request import stop_on_signals
from fourd_perception.training.training_log import read_log
import pytest
import torch
import toy_task

TOY = Path(toy_task.__file__)
TEXT = """\
task: {kind: toy, noisy: %s}
steps: %d
batch: 8
rate: 2.0e-3
precision: fp32
device: cpu
checkpoint_minutes: 0.003
"""


def environment() -> dict[str, str]:
    """As many threads as here, and this source tree."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, 'OMP_NUM_THREADS': str(torch.get_num_threads()), 'PYTHONPATH': root}


def configuration(folder: Path, steps: int, noisy: str = 'false', more: str = '') -> Path:
    path = folder / f'toy{steps}{len(more)}.yaml'
    path.write_text(TEXT % (noisy, steps) + more)
    return path


def train(*arguments: object) -> None:
    """Run the verb in this process."""
    assert main(['train', *map(str, arguments)]) == 0


def started(*arguments: object) -> subprocess.Popen[str]:
    """The verb in a process of its own."""
    command = [sys.executable, str(TOY), 'train', *map(str, arguments)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)


def losses(out: Path) -> dict[int, float]:
    return {x['step']: x['loss'] for x in read_log(out / 'log.jsonl') if x['kind'] == 'step'}


def weights(out: Path) -> dict[str, torch.Tensor]:
    """Both the weights under training and their average."""
    content = read_checkpoint(out / 'last.pt')
    averaged = {f'averaged {name}': tensor for name, tensor in content['model'].items()}
    return {**content['training']['weights'], **averaged}


def wait_for(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    """Until a running training has come so far."""
    limit = time.monotonic() + 100
    while not ready():
        assert process.poll() is None, 'the training has ended'
        assert time.monotonic() < limit
        time.sleep(0.002)


def lines(out: Path) -> int:
    log = out / 'log.jsonl'
    return log.read_text().count('\n') if log.is_file() else 0


def test_killed_and_resumed_it_goes_on_as_if_it_had_never_ended(tmp_path):
    steps = 80
    config = configuration(tmp_path, steps, noisy='true')
    train(config, '--out', tmp_path / 'whole')
    out = tmp_path / 'killed'
    process = started(config, '--out', out)
    wait_for(process, lambda: lines(out) >= 20 and (out / 'last.pt').exists())
    process.kill()
    process.wait()
    step = read_checkpoint(out / 'last.pt')['training']['position']['step']
    assert 0 < step <= lines(out) < steps
    assert started(config, '--out', out, '--resume').wait() == 0

    assert losses(out) == losses(tmp_path / 'whole')
    ours = weights(out)
    assert all(torch.equal(t, ours[name]) for name, t in weights(tmp_path / 'whole').items())


def test_asked_to_stop_it_keeps_everything_and_uses_the_time_that_is_left(tmp_path):
    config, out = configuration(tmp_path, 1), tmp_path / 'out'
    process = started(config, '--minutes', 5, '--out', out)
    wait_for(process, lambda: lines(out) >= 3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert f'SIGTERM: all is kept in {out}; --resume goes on' in said
    position = read_checkpoint(out / 'last.pt')['training']['position']
    assert position['step'] == lines(out)

    minutes = position['seconds'] / 60 + 0.01
    train(config, '--minutes', minutes, '--out', out, '--resume')
    log = read_log(out / 'log.jsonl')
    before, after = log[position['step'] - 1], log[position['step']]
    assert before['step'] == position['step'] == after['step'] - 1
    assert before['seconds'] <= after['seconds']
    assert log[-1]['kind'] == 'validation' and log[-1]['seconds'] >= 60 * minutes


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_as_often_as_it_comes(number):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert stop.signal == 0
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.signal == number
    assert signal.getsignal(number) is before


def test_two_processes_are_one_process_with_the_same_batch(tmp_path):
    steps, longer = 24, 30
    train(configuration(tmp_path, steps), '--out', tmp_path / 'one')
    copies = configuration(tmp_path, steps, more='micro_batch: 2\n')
    divided = configuration(tmp_path, steps, more='parallel: fsdp\nrecompute: true\n')
    resumed = configuration(tmp_path, longer, more='parallel: fsdp\n')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    commands = (
        (copies, '--out', tmp_path / 'copies'),
        (divided, '--out', tmp_path / 'divided'),
        (resumed, '--out', tmp_path / 'divided', '--resume', tmp_path / 'one' / 'last.pt'),
    )
    words = [w for c in commands for w in ('then', 'train', *map(str, c))][1:]
    launcher = f'-m torch.distributed.run --nproc-per-node 2 --master-port {port}'.split()
    done = subprocess.run(
        [sys.executable, *launcher, str(TOY), *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('averaged weights') == len(commands)

    one = losses(tmp_path / 'one')
    assert losses(tmp_path / 'copies') == pytest.approx(one, rel=1e-5)
    assert_close(tmp_path / 'copies', tmp_path / 'one')
    # Two that divide the network went on where one process had been, and one goes on where two
    # have been: files know nothing of processes.
    train(configuration(tmp_path, longer), '--out', tmp_path / 'one', '--resume')
    assert losses(tmp_path / 'divided') == pytest.approx(losses(tmp_path / 'one'), rel=1e-5)
    assert_close(tmp_path / 'divided', tmp_path / 'one')
    train(configuration(tmp_path, 32), '--out', tmp_path / 'divided', '--resume')


def assert_close(ours: Path, theirs: Path) -> None:
    """Equal weights to 1e-5."""
    found = weights(ours)
    for name, tensor in weights(theirs).items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5, msg=name)


def test_what_is_wrong_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / 'toy.yaml').write_text('task: {kind: toy}\nstep: 3\n')
    assert main(['train', str(tmp_path / 'toy.yaml')]) == 2
    said = capsys.readouterr().err
    assert said.startswith('fourd-perception: ') and said.count('\n') == 1
    assert 'has no key step; known are task, minutes, steps' in said


def test_a_torch_that_is_too_old_is_told_before_anything_is_missed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.8.1+cpu')
    assert main(['train', str(tmp_path / 'toy.yaml')]) == 2
    assert 'torch 2.8.1+cpu is installed; training needs 2.9 or newer' in capsys.readouterr().err

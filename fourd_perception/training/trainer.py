"""A run of a training: from a configuration to weights, over interruptions and processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
import signal
import time
from typing import Any

from fourd_perception.model.checkpoint_parts import write_parts
from fourd_perception.model.checkpoints import DTYPES
from fourd_perception.training.assembly import assembled, Assembly
from fourd_perception.training.checkpoints import (
    gathered,
    load_whole,
    read_checkpoint,
    restore,
    weights_metadata,
    whole,
    write_atomically,
)
from fourd_perception.training.config import changed, config_to_plain, TrainingConfig
from fourd_perception.training.gradient_norms import EVERY_STEPS
from fourd_perception.training.processes import joined_processes
from fourd_perception.training.schedule import DECAY
from fourd_perception.training.steps import compare_terms, Position, StepReport, take_step
from fourd_perception.training.stop_request import stop_on_signals, StopRequest
from fourd_perception.training.training_log import TrainingLog
import torch

NEWEST, BEFORE_DECAY, WEIGHTS = 'last.pt', 'before_decay.pt', 'weights'

Say = Callable[[str], None]
Show = Callable[[float, str], None]


def train(
    config: TrainingConfig,
    out: Path,
    resume: Path | None,
    say: Say = print,
    show: Show | None = None,
) -> int:
    """Run a training to its end, or until SIGINT or SIGTERM; returns that signal, or 0.

    out:    folder of its files: last.pt (newest), before_decay.pt (to go on with a greater
            length), weights/ (the average at the end), log.jsonl, pictures/
    resume: file to go on from; None begins anew, where `out` has no training yet
    say:    takes lines; show: takes the progress, 0 to 1, and a note
    Raises ValueError for what does not go together, FileExistsError for a training in `out`.
    """
    if resume is None and (out / NEWEST).exists():
        raise FileExistsError(
            f'{out} holds a training; --resume goes on with it, --out names another folder'
        )
    with stop_on_signals() as stop, joined_processes(config.device) as processes:
        parts = assembled(config, processes)
        position = Position() if resume is None else resumed(parts, resume)
        if not processes.first:
            return Run(parts, position, out, stop).to_the_end()
        with TrainingLog(out, position.step) as log:
            return Run(parts, position, out, stop, log, say, show).to_the_end()


class Run:
    """A training that goes on from its position."""

    def __init__(
        self,
        parts: Assembly,
        position: Position,
        out: Path,
        stop: StopRequest,
        log: TrainingLog | None = None,
        say: Say = print,
        show: Show | None = None,
    ) -> None:
        """All of one training; the first process alone has a log, speaks and writes."""
        self._parts, self._position, self._out, self._stop = parts, position, out, stop
        self._log, self._say, self._show = log, say, show
        self._began = time.monotonic() - position.seconds

    def to_the_end(self) -> int:
        """Take steps, keeping files and validating when it is time; see `train`."""
        config, position = self._parts.config, self._position
        saved = validated = position.seconds
        progress, stop = self._progress(), False
        while progress < 1 and not stop:
            stop = self._step(progress)
            before, progress = progress, self._progress()
            if before < 1 - DECAY <= progress:
                self._save(BEFORE_DECAY)
            if position.seconds - saved >= 60 * config.checkpoint_minutes:
                saved = position.seconds
                self._save(NEWEST)
            if position.seconds - validated >= 60 * config.validation_minutes and progress < 1:
                validated = position.seconds
                self._validate()
        if progress < 1:
            self._save(NEWEST)
            return self._stop.signal or signal.SIGTERM
        # A file of a training at its end is not resumed: by then its weights must be there.
        self._export()
        self._save(NEWEST)
        self._validate()
        return 0

    def _progress(self) -> float:
        return self._parts.config.length.progress(self._position.step, self._position.seconds)

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _step(self, progress: float) -> bool:
        """Take a step; whether to stop after it."""
        position, parts = self._position, self._parts
        if position.step > 0 and position.step % EVERY_STEPS == 0:
            norms, warning = compare_terms(parts, position, progress)
            weights = {'weights': position.weights} if position.weights else {}
            self._write('gradients', {'norms': norms, **weights})
            if warning and parts.processes.first:
                self._say(f'step {position.step}: {warning}')
        began = time.monotonic()
        report = take_step(
            parts, position, progress, self._seconds, lambda: self._stop.signal != 0
        )
        rate = parts.config.batch / (time.monotonic() - began)
        self._write('step', _line(report, position, rate))
        if self._show is not None and parts.processes.first:
            self._show(
                progress,
                f'step {position.step}, loss {report.loss:.4g}, {rate:.3g} samples/s'
                + (f', {position.skipped} skipped' if position.skipped else ''),
            )
        return report.stop

    def _write(self, kind: str, values: dict[str, Any]) -> None:
        if self._log is not None:
            self._log.write(kind, self._position.step, self._position.seconds, values)

    def _save(self, name: str) -> None:
        parts = self._parts
        first = parts.processes.first
        content = gathered(parts.task.network, parts.averaged, parts.optimisers, first)
        if first:
            content['training'] |= {
                'config': config_to_plain(parts.config),
                'position': asdict(self._position),
            }
            write_atomically(self._out / name, {**self._metadata(), **content})

    def _metadata(self) -> dict[str, str]:
        return weights_metadata(self._parts.task.network, self._parts.config.licence)

    def _validate(self) -> None:
        """Errors and pictures of the averaged network, on the first process."""
        parts = self._parts
        if parts.viewed is not parts.averaged:
            state = whole(parts.averaged.state_dict(), parts.processes.first)
            if parts.viewed is not None:
                load_whole(parts.viewed, state)
        if self._log is None or parts.viewed is None:
            return
        with torch.no_grad():
            errors = parts.task.validate(parts.viewed, parts.config.validation_samples)
            pictures = parts.task.pictures(parts.viewed)
        self._write('validation', {'errors': dict(errors)})
        self._log.pictures(self._position.step, pictures)
        said = ', '.join(f'{name} {value:.4g}' for name, value in errors.items())
        self._say(f'{self._position.seconds / 60:.1f} min, step {self._position.step}: {said}')

    def _export(self) -> None:
        parts = self._parts
        state = whole(parts.averaged.state_dict(), parts.processes.first)
        if parts.processes.first:
            dtype = DTYPES[parts.config.weights_dtype]
            index = write_parts(self._out / WEIGHTS, state, self._metadata(), dtype)
            self._say(f'{index}: averaged weights')


def resumed(parts: Assembly, path: Path) -> Position:
    """Put a file of the same training into the parts; ValueError if it is of another one."""
    content = read_checkpoint(path)
    saved = content['training']
    differences = changed(saved['config'], config_to_plain(parts.config))
    if differences:
        raise ValueError(
            f'{path} is of another configuration: {"; ".join(differences)}. To begin a new '
            'training from its weights, name it under start_from'
        )
    restore(content, parts.task.network, parts.averaged, parts.optimisers)
    position, length = Position(**saved['position']), parts.config.length
    if length.progress(position.step, position.seconds) >= 1:
        raise ValueError(
            f'{path} has had its {length}; to go on at the full rate, give a greater length and '
            f'--resume {path.with_name(BEFORE_DECAY)}'
        )
    return position


def _line(report: StepReport, position: Position, samples_a_second: float) -> dict[str, Any]:
    return {
        'loss': report.loss,
        'terms': report.terms,
        'norm': report.norm,
        'rate': report.rate,
        'skipped': position.skipped,
        'samples_a_second': round(samples_a_second, 3),
    }

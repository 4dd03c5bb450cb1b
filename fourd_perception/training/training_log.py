"""What a training leaves to look at: log.jsonl, pictures, and both for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
import json
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

LOG = 'log.jsonl'
SCALAR_STEPS = 20


class TrainingLog:
    """Writes one JSON object a line: of every step, validation, and comparison of gradients.

    Every line has `kind` (`step`, `validation`, `gradients`), `step` (steps taken) and `seconds`
    of training. Where tensorboard is installed, events go to the same folder.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Go on behind `step`; lines of what is done once more are dropped.

        That is later steps, and the comparison of gradients right before the next one.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        kept = [
            line
            for line in (read_log(folder / LOG) if step else [])
            if line['step'] < step or (line['step'] == step and line['kind'] != 'gradients')
        ]
        fresh = folder / f'{LOG}.partial'
        fresh.write_text(''.join(json.dumps(line) + '\n' for line in kept))
        fresh.replace(folder / LOG)
        self._file = (folder / LOG).open('a')
        self._events = _events(folder, step)

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def write(self, kind: str, step: int, seconds: float, values: Mapping[str, Any]) -> None:
        """Add a line; numbers, and mappings of numbers, go to TensorBoard too."""
        self._write({'kind': kind, 'step': step, 'seconds': round(seconds, 3), **values})
        if self._events is None or (kind == 'step' and step % SCALAR_STEPS):
            return
        for name, value in values.items():
            members = value if isinstance(value, Mapping) else {'': value}
            for member, number in members.items():
                self._events.add_scalar(f'{kind}/{name}/{member}'.rstrip('/'), number, step)

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Keep pictures, uint8 [H, W, 3], as pictures/NAME_STEP.png."""
        for name, picture in pictures.items():
            path = self._folder / 'pictures' / f'{name}_{step:07}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
            if self._events is not None:
                self._events.add_image(name, picture, step, dataformats='HWC')

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(_finite(line)) + '\n')
        self._file.flush()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log.jsonl; a last one that was cut off is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith('\n')]


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null."""
    if isinstance(value, Mapping):
        return {name: _finite(member) for name, member in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value


def _events(folder: Path, step: int) -> Any:
    """TensorBoard's writer, which drops events of later steps; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step)

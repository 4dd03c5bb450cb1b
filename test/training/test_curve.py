"""The curve of validation against training time, of trainings that go on from another."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

from fourd_perception.training.curve import draw, validation_curve
from PIL import Image
import pytest


def logged(folder: Path, errors: list[tuple[float, dict]], end: float) -> Path:
    folder.mkdir()
    lines = [{'kind': 'validation', 'step': 1, 'seconds': s, 'errors': e} for s, e in errors]
    lines.append({'kind': 'step', 'step': 9, 'seconds': end})
    (folder / 'log.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        logged(tmp_path / 'a', [(60, {'epe': 3.0}), (120, {'epe': 2.0})], 180),
        logged(tmp_path / 'b', [(60, {'epe': 1.0, 'iou': 0.5}), (90, {'iou': None})], 120),
    ]


def test_minutes_of_trainings_add_up(runs):
    curve = validation_curve(runs)
    assert curve.points == {'epe': [(1.0, 3.0), (2.0, 2.0), (4.0, 1.0)], 'iou': [(4.0, 0.5)]}
    assert curve.ends == [3.0, 5.0]
    first, second = draw(curve, 'a, then b').axes
    assert [list(x) for x in first.lines[0].get_data()] == [[1.0, 2.0, 4.0], [3.0, 2.0, 1.0]]
    assert list(second.lines[1].get_xdata()) == [3.0, 3.0]


def test_a_run_without_validation_is_named(tmp_path):
    with pytest.raises(ValueError, match='empty/log.jsonl has no validation'):
        validation_curve([logged(tmp_path / 'empty', [], 3)])


def test_the_command_draws_a_picture(runs, tmp_path):
    command = [sys.executable, '-m', 'fourd_perception.training.curve', *map(str, runs)]
    subprocess.run([*command, '--out', str(tmp_path / 'curve.png')], check=True)
    assert Image.open(tmp_path / 'curve.png').size == (640, 260)

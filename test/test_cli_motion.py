"""The verbs about motion masks, as a user types them."""

from __future__ import annotations

from fourd_perception import cli
import numpy as np
from PIL import Image
import pytest


def test_a_clip_is_pictured_and_the_picture_says_that_the_weights_are_untrained(tmp_path, capsys):
    random = np.random.default_rng(0)
    (tmp_path / 'clip').mkdir()
    for i in range(5):
        pixels = random.integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'clip' / f'{i:03}.png')
    out = tmp_path / 'out' / 'sheet.png'
    arguments = ['motion', str(tmp_path / 'clip'), '--out', str(out), '--width', '70']
    assert cli.main(arguments) == 0
    assert 'of the pixels dynamic' in capsys.readouterr().out
    sheet = np.array(Image.open(out)).astype(int)
    red = (sheet[..., 0] > 150) & (sheet[..., 1] < 60) & (sheet[..., 2] < 60)
    assert red[:80].sum() > 2000  # the band of the notice
    (tmp_path / 'empty').mkdir()
    assert cli.main(['motion', str(tmp_path / 'empty'), '--out', str(out)]) == 2
    assert 'no pictures' in capsys.readouterr().err


def test_the_cues_are_timed_and_a_limit_that_is_missed_is_an_exit_code(capsys, monkeypatch):
    assert cli.main(['bench', 'cues', '--grid', '4x3', '--frames', '9']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith('| 4x3 | 9 |')
    monkeypatch.setattr('fourd_perception.cli_motion.MOST_ERROR', 0.0)
    assert cli.main(['bench', 'cues', '--grid', '4x3', '--frames', '9']) == 1
    assert 'not equal to 0' in capsys.readouterr().out


def test_numbers_that_are_none_are_refused(tmp_path, capsys):
    for grid in ('0x3', '1x1', '4by3'):
        assert cli.main(['bench', 'cues', '--grid', grid]) == 2
        assert f'--grid {grid}: give WxH in patches' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(['motion', str(tmp_path), '--out', 'sheet.png', '--frames', '0'])
    assert "'0' is not a whole number above 0" in capsys.readouterr().err

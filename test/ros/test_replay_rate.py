"""`--rate auto` against a node that is slower than it says: 20 slices, or an error that tells."""

from __future__ import annotations

from pathlib import Path
import sys

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from replays import cut, fourd, OPTIONS


@pytest.fixture(scope='module')
def short_bag(room_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras, 30 images each."""
    return cut(
        room_bag,
        tmp_path_factory.mktemp('short') / 'bag',
        lambda topic, seconds: seconds < 2.95 and 'right' not in topic,
    )


def replay_auto(bag: Path, out: Path, *options: str):
    done = fourd(
        'replay', bag, '--weights', f'truth:{bag}', '--rate', 'auto', '--out', out,
        *OPTIONS, '-p', 'cameras:=[front_left, left]', *options,
    )  # fmt: skip
    return done, yaml.safe_load((out / 'run.yaml').read_text())


def test_too_few_slices_are_sought_once_more_at_a_lower_rate(short_bag, tmp_path):
    # A limit that inference times do not show.
    done, run = replay_auto(short_bag, tmp_path / 'run', '-p', 'max_rate:=3.0')
    assert done.returncode == 0, done.stderr
    assert 'played once more, at rate 0.' in done.stderr
    assert 20 <= run['slices'] <= run['slices_available'] == 30
    assert run['played']['/left/image_rect'] == 30, 'what is left is the second try alone'
    assert f'rate {run["rate"]:.3g}' in done.stdout


def test_slices_that_no_rate_can_find_are_an_error(short_bag, tmp_path):
    done, run = replay_auto(short_bag, tmp_path / 'run', '-p', 'window.min_interval:=0.15')
    assert done.returncode == 1
    assert run['slices'] < 20
    assert f'only {run["slices"]} of 30 slices' in done.stderr.splitlines()[-1]
    assert 'run.yaml' in done.stderr

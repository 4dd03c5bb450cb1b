"""The whole way with exact weights: bag, DDS, node, DDS, bag, and every published value scored."""

from __future__ import annotations

from pathlib import Path
import sys
from typing import Any

from fourd_perception.wire.topics import scene_topics
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from replays import fourd, replay


@pytest.fixture(scope='module')
def run_folder(room_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay at network size."""
    folder = tmp_path_factory.mktemp('network') / 'run'
    replay(room_bag, folder)
    return folder


@pytest.fixture(scope='module')
def run(run_folder: Path) -> dict[str, Any]:
    return yaml.safe_load((run_folder / 'run.yaml').read_text())


def test_every_value_is_right_at_network_size(run_folder):
    done = fourd('evaluate', 'replay', run_folder)
    assert done.returncode == 0, done.stdout
    report = (run_folder.parent / 'report.md').read_text()
    assert report.count('| kept |') >= 15
    assert 'broken' not in report
    assert (run_folder / 'contact_sheet.png').stat().st_size > 100_000


def test_every_value_is_right_at_input_size(room_bag, tmp_path):
    replay(room_bag, tmp_path / 'run', '-p', 'output.size:=input')
    done = fourd('evaluate', 'replay', tmp_path / 'run')
    assert done.returncode == 0, done.stdout


def test_every_topic_is_recorded_and_nothing_is_lost(run):
    names = {f'/{spec.name}' for spec in scene_topics(run['parameters']['cameras'])}
    assert names | {'/tf', '/tf_static', '/diagnostics'} <= set(run['outputs'])
    assert {name for name in names if not run['outputs'][name]['count']} == set()
    assert {name: t['lost'] for name, t in run['outputs'].items() if t['lost']} == {}


def test_the_run_tells_what_was_done(run, room_bag):
    assert run['bag'] == str(room_bag)
    assert run['parameters']['weights'] == f'truth:{room_bag}'
    assert run['parameters']['cameras'] == ['front_left', 'front_right', 'left', 'right']
    assert run['played']['/left/image_rect'] == run['slices_available'] == 50
    assert run['slices'] > 10
    assert run['exit_code'] == 0
    assert run['latency']['median'] > 0
    assert run['versions']['fourd_perception']

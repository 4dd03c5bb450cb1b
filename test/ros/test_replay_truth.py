"""The whole way with exact weights: bag, DDS, node, DDS, bag, and every published value scored."""

from __future__ import annotations

from pathlib import Path
import sys
from typing import Any

from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.wire.topics import scene_topics
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from replays import fourd, replay


@pytest.fixture(scope='module')
def run_folder(room_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay at network size, as slow as it takes for 20 slices."""
    folder = tmp_path_factory.mktemp('network') / 'run'
    replay(room_bag, folder, '--rate', 'auto')
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


def test_an_independent_reader_finds_the_outputs_right(run_folder, run, room_bag):
    mcap = pytest.importorskip('mcap_ros2.reader', reason='the independent reader is not there')
    (path,) = (run_folder / 'bag').glob('*.mcap')
    recording = SyntheticRecording.load(room_bag)
    parents: dict[str, set[str]] = {}
    seen: dict[str, int] = {}
    for found in mcap.read_ros2_messages(str(path)):
        topic, message = found.channel.topic, found.ros_msg
        camera, _, kind = topic[1:].partition('/')
        seen[topic] = seen.get(topic, 0) + 1
        assert found.schema.name == run['outputs'][topic]['type']
        if topic in ('/tf', '/tf_static'):
            for edge in message.transforms:
                parents.setdefault(edge.child_frame_id, set()).add(edge.header.frame_id)
        if camera not in recording.cameras:
            continue
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert stamp in recording.stamps(camera)
        if found.schema.name == 'sensor_msgs/msg/Image':
            channels = {'32FC1': 4, 'mono8': 1, '32FC2': 8, 'rgb8': 3}[message.encoding]
            assert message.step == message.width * channels
            assert len(message.data) == message.step * message.height
        if kind == 'dynamic_mask':
            given = recording.cameras[camera]
            assert (message.width, message.height) == (given.width, given.height)
        if kind == 'dynamic_mask/camera_info':
            k = recording.cameras[camera].intrinsics
            assert list(message.k) == k.ravel().tolist()
        if kind == 'points':
            assert (message.point_step, message.row_step) == (16, 16 * message.width)
            assert [f.name for f in message.fields] == ['x', 'y', 'z', 'rgb']
    # On /tf and /tf_static the drivers' own messages are recorded as well.
    assert seen == {n: t['count'] + t['foreign'] for n, t in run['outputs'].items() if n in seen}
    assert parents['base_link'] == {'fourd_world'}
    assert all(parents[c.frame_id] == {'base_link'} for c in recording.cameras.values())


def test_the_run_tells_what_was_done(run, room_bag):
    assert run['bag'] == str(room_bag)
    assert run['parameters']['weights'] == f'truth:{room_bag}'
    assert run['parameters']['cameras'] == ['front_left', 'front_right', 'left', 'right']
    assert run['played']['/left/image_rect'] == run['slices_available'] == 50
    assert run['slices'] >= 20
    assert 0 < run['rate'] <= 1.0
    assert run['exit_code'] == 0
    assert run['latency']['median'] > 0
    assert run['versions']['fourd_perception']

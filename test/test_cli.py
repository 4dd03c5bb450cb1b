"""The command line as a user meets it: help, small jobs, and what is wrong said in one line."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys

from fourd_perception.bag.reader import BagReader
from fourd_perception.bag.writer import BagWriter
import numpy as np
import pytest
import yaml


def fourd(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    command = [sys.executable, '-m', 'fourd_perception.cli', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def complaint(*arguments: object) -> str:
    """The one line that a command says about input that it cannot use."""
    done = fourd(*arguments)
    assert done.returncode == 2, done.stderr
    assert 'Traceback' not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    'verb',
    [
        (),
        ('synth',),
        ('make-bag',),
        ('replay',),
        ('evaluate', 'replay'),
        ('parity',),
        ('train',),
        ('weights', 'fetch'),
        ('weights', 'convert'),
    ],
)
def test_every_verb_has_help(verb):
    done = fourd(*verb, '--help')
    assert done.returncode == 0
    assert 'usage: fourd-perception' in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_help_loads_neither_torch_nor_ros():
    code = (
        'import sys; from fourd_perception import cli\n'
        'try: cli.main(["replay", "--help"])\n'
        'except SystemExit: pass\n'
        'print({"torch", "rclpy", "cv2", "rosbags"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == 'set()'


def test_synth_writes_a_recording_that_says_what_it_is(tmp_path):
    done = fourd('synth', tmp_path / 'room', '--cameras', 2, '--seconds', 0.2)
    assert done.returncode == 0, done.stderr
    with BagReader(tmp_path / 'room') as bag:
        assert bag.topics['/left/image_rect'].count == 2
    assert (tmp_path / 'room' / 'scene.yaml').is_file()
    assert 'already' in complaint('synth', tmp_path / 'room', '--cameras', 1, '--seconds', 0.1)


def test_make_bag_turns_videos_into_a_recording(tmp_path):
    cv2 = pytest.importorskip('cv2')
    writer = cv2.VideoWriter(
        str(tmp_path / 'a.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 20.0, (64, 48)
    )
    for k in range(6):
        writer.write(np.full((48, 64, 3), 40 * k, np.uint8))
    writer.release()
    camera = {
        'video': 'a.mp4',
        'width': 64,
        'height': 48,
        'camera_matrix': [50, 0, 31.5, 0, 50, 23.5, 0, 0, 1],
        'distortion': [0, 0, 0, 0, 0],
        'rotation': np.eye(3).ravel().tolist(),
        'translation': [0, 0, 1.5],
    }
    (tmp_path / 'rig.yaml').write_text(yaml.safe_dump({'cameras': {'a': camera}}))
    done = fourd('make-bag', tmp_path / 'rig.yaml', tmp_path / 'lab', '--every', 2)
    assert done.returncode == 0, done.stderr
    with BagReader(tmp_path / 'lab') as bag:
        assert bag.topics['/a/image_rect'].count == 3


@pytest.fixture
def empty_bag(tmp_path: Path) -> Path:
    """A recording without a camera."""
    with BagWriter(tmp_path / 'empty') as writer:
        writer.topic('/odd/image', 'sensor_msgs/msg/Image')
    return tmp_path / 'empty'


def test_input_that_cannot_be_used_is_told_in_one_line(tmp_path, empty_bag):
    out = ('--out', tmp_path / 'out')
    assert 'invalid choice' in complaint('fly')
    assert 'not a number above 0' in complaint('synth', tmp_path / 'x', '--rate', 0)
    assert '1 to 8 cameras' in complaint('synth', tmp_path / 'x', '--cameras', 9)
    assert 'nowhere.yaml' in complaint('make-bag', tmp_path / 'nowhere.yaml', tmp_path / 'x')
    assert 'rosbag2' in complaint('replay', tmp_path / 'nowhere', *out)
    assert '/odd/image' in complaint('replay', empty_bag, *out)
    assert 'run.yaml' in complaint('evaluate', 'replay', tmp_path)


def test_parameters_that_the_node_cannot_take_are_told_before_it_starts(tmp_path, empty_bag):
    def said(*options: object) -> str:
        return complaint('replay', empty_bag, '--out', tmp_path / 'out', *options)

    assert 'window.length' in said('-p', 'window.lenght:=3')
    assert 'name:=value' in said('-p', 'window.length=3')
    assert '0 lies outside' in said('-p', 'window.length:=0')
    assert "'slow' is not auto" in said('--rate', 'slow')
    (tmp_path / 'params.yaml').write_text('fourd_perception: {window.length: 3}')
    assert 'ros__parameters' in said('--params', tmp_path / 'params.yaml')


def test_parameter_files_may_nest_names_and_are_weaker_than_assignments(tmp_path, empty_bag):
    from fourd_perception.ros.replay_params import node_parameters

    (tmp_path / 'params.yaml').write_text(
        yaml.safe_dump(
            {
                '/**': {
                    'ros__parameters': {'image_topic': '{camera}/image', 'window': {'length': 3}}
                },
                'fourd_perception': {
                    'ros__parameters': {'output.size': 'input', 'cameras': ['b']}
                },
            }
        )
    )
    assignments = ['output.size:=64x48', 'cameras:=[odd]']
    options = {'weights': 'untrained:1'}
    found = node_parameters(empty_bag, tmp_path / 'params.yaml', assignments, options)
    assert found == {
        'image_topic': '{camera}/image',
        'cameras': ['odd'],
        'window.length': 3,
        'output.size': '64x48',
        'weights': 'untrained:1',
    }
    with pytest.raises(ValueError, match="no images of camera 'b'"):
        node_parameters(empty_bag, tmp_path / 'params.yaml', [], {})

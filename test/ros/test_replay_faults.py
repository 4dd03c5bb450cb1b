"""Replays in which something goes wrong: cameras fall silent, time jumps, processes die."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal
import subprocess
import sys
import time

from fourd_perception.bag.outputs import RecordedOutputs
from fourd_perception.bag.reader import BagReader
from fourd_perception.wire.transforms import pose_matrix
import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from replays import command, cut, environment, fourd, OPTIONS, replay
from shared_memory import held_by, held_by_anyone


def messages(bag: Path, topic: str) -> Iterator:
    """The recorded messages of a topic, in order."""
    with BagReader(bag) as reader:
        for _, _, payload in reader.messages([topic]):
            yield reader.decode(topic, payload)


def nodes_on(domain: str) -> list[int]:
    """Process ids of perception nodes on a domain."""
    found = []
    for process in Path('/proc').glob('[0-9]*'):
        try:
            line = (process / 'cmdline').read_bytes()
            variables = (process / 'environ').read_bytes().split(b'\0')
        except OSError:
            continue
        if b'ros.node' in line and f'ROS_DOMAIN_ID={domain}'.encode() in variables:
            found.append(int(process.name))
    return found


def test_a_silent_camera_and_then_a_silent_reference_break_nothing(room_bag, tmp_path):
    silent = {'left': (0.8, 1.8), 'front_left': (2.6, 3.6)}

    def keep(topic: str, seconds: float) -> bool:
        begin, end = silent.get(topic.strip('/').split('/')[0], (9, 9))
        return not begin < seconds < end

    bag = cut(room_bag, tmp_path / 'gaps', keep)
    replay(bag, tmp_path / 'run', '-p', 'output.size:=network')
    with RecordedOutputs(tmp_path / 'run' / 'bag') as outputs:
        start = min(outputs.stamps('front_right/depth/image_rect'))
        stamps = {c: np.array(outputs.stamps(f'{c}/depth/image_rect')) for c in outputs.cameras}
    for camera, (begin, end) in silent.items():
        since = (stamps[camera] - start) / 1e9
        others = (stamps['front_right'] - start) / 1e9
        assert not ((since > begin) & (since < end)).any()
        assert ((others > begin) & (others < end)).any(), 'the others go on'
        assert (since > end).any(), 'it is taken back'
    log = (tmp_path / 'run' / 'node.log').read_text()
    assert "'left' has delivered nothing" in log
    assert "in place of 'front_left'" in log
    # World and scale are those of before: all poses fit after one alignment.
    done = fourd('evaluate', 'replay', tmp_path / 'run')
    assert done.returncode == 0, done.stdout


def nanoseconds(message):
    """Stamp of a message."""
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_a_second_pass_begins_anew(room_bag, tmp_path):
    bag = cut(room_bag, tmp_path / 'short', lambda topic, seconds: seconds < 1.55)
    replay(bag, tmp_path / 'run', '--loop', 2, '--rate', 0.5)
    recorded = tmp_path / 'run' / 'bag'
    stamps = [nanoseconds(m) for m in messages(recorded, '/odometry')]
    (jump,) = (k for k in range(1, len(stamps)) if stamps[k] < stamps[k - 1])
    assert jump >= 3 and len(stamps) - jump >= 3
    poses = [pose_matrix(m.pose.pose) for m in messages(recorded, '/odometry')]
    np.testing.assert_allclose(poses[jump], np.eye(4), atol=1e-5)
    path = list(messages(recorded, '/path'))[-1]
    expected = stamps[jump:].index(nanoseconds(path)) + 1
    assert len(path.poses) == expected, 'the path of the first pass is gone'
    # With one instant in the window there is no flow, so none reaches over the jump.
    pairs = [(m.header.stamp, m.time_ref) for m in messages(recorded, '/left/flow/interval')]
    assert all((a.sec, a.nanosec) < (b.sec, b.nanosec) for a, b in pairs)
    run = yaml.safe_load((tmp_path / 'run' / 'run.yaml').read_text())
    assert run['slices_available'] == run['played']['/left/image_rect'] == 32


@pytest.mark.parametrize('ending', [signal.SIGINT, signal.SIGTERM])
def test_an_early_end_leaves_a_whole_recording_and_no_node(room_bag, tmp_path, ending):
    env = environment()
    arguments = ('replay', room_bag, '--weights', 'untrained:0', '--out', tmp_path / 'run')
    process = subprocess.Popen(
        command(*arguments, *OPTIONS, '--rate', 0.1),
        env=env,
        # A test run in the background of a shell ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    recorded = tmp_path / 'run' / 'bag'
    deadline = time.monotonic() + 60
    while not list(recorded.glob('*.mcap')) or not nodes_on(env['ROS_DOMAIN_ID']):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(5.0)
    process.send_signal(ending)
    assert process.wait(20) == 130
    assert nodes_on(env['ROS_DOMAIN_ID']) == []
    with BagReader(recorded) as bag:
        assert '/diagnostics' in bag.topics
    assert yaml.safe_load((tmp_path / 'run' / 'run.yaml').read_text())['interrupted']


def test_a_node_that_cannot_start_says_why(room_bag, tmp_path):
    done = fourd(
        'replay', room_bag, '--weights', 'truth:/nowhere', '--out', tmp_path / 'run', *OPTIONS
    )
    assert done.returncode == 1
    assert '/nowhere' in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_player_that_is_killed_can_be_started_again(room_bag, tmp_path):
    """The node outlives its cameras, and the recorded drive begins anew with them."""
    from fourd_perception.ros.process import NodeProcess

    env = environment()
    params = {
        'cameras': ['front_left', 'left'],
        'weights': f'truth:{room_bag}',
        'pixel_budget': 12000,
        'tf.wait': 0.2,
        'use_sim_time': True,
    }
    domain = int(env['ROS_DOMAIN_ID'])
    play = [sys.executable, str(Path(__file__).parent / 'play_and_listen.py'), str(room_bag)]
    left = set()
    with NodeProcess(params, domain) as node:
        for _ in range(2):
            player = subprocess.Popen(play, env=env, stdout=subprocess.PIPE, text=True)
            line = player.stdout.readline()
            assert line.startswith('heard'), node.log
            left |= held_by(player.pid)
            player.send_signal(signal.SIGKILL)
            player.wait()
            time.sleep(1.0)
            assert node.returncode is None
        assert 'went back' in node.log
    assert node.returncode == 0
    for file in left - held_by_anyone():  # nobody cleans up after a process that is killed
        file.unlink(missing_ok=True)

"""What comes out for what goes in: stamps, frames, and only what somebody asked for."""

import copy
import os
from pathlib import Path
import time

from nav_msgs.msg import Odometry, Path as PathMessage
from node_bench import wait_until
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, TimeReference
from tf2_msgs.msg import TFMessage


def wanted(bench, *outputs):
    """Wait until the node has seen the subscriptions."""
    expected = ', '.join(sorted(outputs)) or 'nothing'
    wait_until(lambda: bench.values('outputs').get('wanted') == expected, f'{expected} wanted')


def stamps_of(messages):
    """Stamps as integers."""
    return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]


def cpu_seconds(pid):
    """User and system time that a process has taken."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_every_image_is_answered_with_its_own_stamp_and_frame(bench, cameras, start_node):
    start_node()
    depth = {name: bench.listen(Image, f'{name}/depth/image_rect') for name in cameras.images}
    cameras.connect()
    wanted(bench, 'depth')
    cameras.play(range(6), depth['right'])
    for name, heard in depth.items():
        wait_until(lambda h=heard: len(h) == 6, f'six depth images of {name}')
        sent = cameras.images[name][:6]
        assert [message.header for message in heard] == [message.header for message in sent]
        assert {message.encoding for message in heard} == {'32FC1'}


def test_depth_is_the_depth_of_the_scene(bench, cameras, start_node):
    start_node()
    depth = bench.listen(Image, 'front/depth/image_rect')
    info = bench.listen(CameraInfo, 'front/depth/camera_info')
    cameras.connect()
    wanted(bench, 'depth')
    cameras.play(range(3), depth)
    wait_until(lambda: len(info) == 3, 'a CameraInfo with each depth image')
    image, stamp = depth[-1], cameras.recording.stamps('front')[2]
    metres = np.frombuffer(image.data, np.float32).reshape(image.height, image.width)
    model = cameras.recording.cameras['front'].resized(image.width, image.height)
    truth = cameras.recording.depth(model, stamp)
    valid = np.isfinite(metres)
    assert valid.mean() > 0.9
    assert np.abs(metres[valid] / truth[valid] - 1).max() < 1e-3
    assert np.allclose(info[-1].k.reshape(3, 3), model.intrinsics)


def test_rig_wide_outputs_carry_the_stamp_of_the_reference(bench, cameras, start_node):
    start_node()
    points = bench.listen(PointCloud2, 'points')
    odometry = bench.listen(Odometry, 'odometry')
    path = bench.listen(PathMessage, 'path')
    tf = bench.listen(TFMessage, '/tf')
    cameras.connect()
    wanted(bench, 'odometry', 'path', 'points', 'tf')
    cameras.play(range(8), path)
    expected = list(cameras.recording.stamps('front')[:8])
    wait_until(lambda: len(points) == 8, 'eight clouds')
    assert stamps_of(points) == stamps_of(odometry) == stamps_of(path) == expected
    assert stamps_of(path[-1].poses) == expected
    assert {m.header.frame_id for m in points} == {'base_link'}
    assert {(m.header.frame_id, m.child_frame_id) for m in odometry} == {
        ('fourd_world', 'base_link')
    }
    transforms = [transform for message in tf for transform in message.transforms]
    assert stamps_of(transforms) == expected[-len(transforms) :]
    assert {(t.header.frame_id, t.child_frame_id) for t in transforms} == {
        ('fourd_world', 'base_link')
    }


def test_flow_carries_the_older_stamp_and_its_interval_both(bench, cameras, start_node):
    start_node()
    flow = bench.listen(Image, 'left/flow')
    interval = bench.listen(TimeReference, 'left/flow/interval')
    cameras.connect()
    wanted(bench, 'flow')
    for k in range(4):
        cameras.send(k)
        wait_until(lambda k=k: len(interval) == k, f'{k} intervals')
        time.sleep(0.3 if k == 0 else 0.0)
    stamps = list(cameras.recording.stamps('left')[:4])
    assert stamps_of(flow) == stamps_of(interval) == stamps[:3]
    newer = [m.time_ref.sec * 10**9 + m.time_ref.nanosec for m in interval]
    assert newer == stamps[1:]


def test_nothing_is_inferred_while_nobody_subscribes(bench, cameras, start_node):
    node = start_node()
    cameras.connect()
    before, started = cpu_seconds(node.pid), time.monotonic()
    cameras.play(range(12))
    used = (cpu_seconds(node.pid) - before) / (time.monotonic() - started)
    assert used < 0.25, f'{used:.0%} of a core for nothing'
    bench.forget_status()
    wait_until(lambda: bench.status('outputs'), 'diagnostics')
    assert 'nobody subscribes' in bench.status('outputs').message
    assert bench.values('inference')['inferred'] == '0'
    counts = bench.values('camera front')
    assert (counts['received'], counts['used']) == ('12', '0')
    assert int(counts['overwritten']) + int(counts['pending']) == 12


def test_no_cloud_is_made_for_who_wants_depth(bench, cameras, start_node):
    start_node()
    depth = bench.listen(Image, 'front/depth/image_rect')
    cameras.connect()
    wanted(bench, 'depth')
    cameras.play(range(3), depth)
    wait_until(lambda: bench.values('inference').get('inferred') == '3', 'three inferences')
    stages = bench.values('inference')
    assert 'predict (ms)' in stages
    assert 'clouds (ms)' not in stages


def test_inference_keeps_to_the_rate_that_is_allowed(bench, cameras, start_node):
    start_node(max_rate=2.0)
    depth = bench.listen(Image, 'front/depth/image_rect')
    cameras.connect()
    wanted(bench, 'depth')
    started = time.monotonic()
    cameras.play(range(12))
    assert 1 <= len(depth) <= 1 + 2.0 * (time.monotonic() - started)


def test_an_encoding_that_is_not_read_costs_that_camera_only(
    bench, cameras, recording, start_node
):
    node = start_node()
    depth = bench.listen(Image, 'front/depth/image_rect')
    cameras.images = cameras.images | {'left': copy.deepcopy(cameras.images['left'])}
    for message in cameras.images['left']:
        message.encoding = 'yuv422'
    cameras.connect()
    wanted(bench, 'depth')
    cameras.play(range(3), depth)
    wait_until(lambda: bench.values('camera left').get('invalid') == '3', 'three invalid')
    assert bench.values('camera front')['used'] == '3'
    assert "'yuv422'" in bench.values('camera left')['last refused image']
    assert node.log.count("'yuv422'") == 1, 'said once'

"""Time that jumps, cameras that fall silent, publishers that change: the node goes on."""

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from node_bench import Cameras, wait_until
import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def ready(bench, output):
    """Wait until the node has seen a subscription to `output`."""
    wait_until(lambda: output in bench.values('outputs').get('wanted', ''), f'{output} wanted')


def position(pose):
    """Metres of a PoseStamped."""
    p = pose.pose.position
    return np.array([p.x, p.y, p.z])


def balanced(counts):
    """Whether every frame received has its fate."""
    fates = ('used', 'duplicate', 'late', 'no_info', 'invalid', 'unmatched', 'below_min_cameras')
    fates += ('overwritten', 'jump', 'pending')
    return int(counts['received']) == sum(int(counts[fate]) for fate in fates)


def test_reset_begins_anew_and_keeps_the_counters(bench, cameras, start_node):
    start_node()
    path, poses = bench.listen(Path, 'path'), bench.listen(PoseStamped, 'front/pose')
    cameras.connect()
    ready(bench, 'path')
    cameras.play(range(4), path)
    assert [len(message.poses) for message in path] == [1, 2, 3, 4]
    answer = bench.reset()
    assert answer.success
    cameras.play(range(4, 6), path)
    assert [len(message.poses) for message in path[4:]] == [1, 2]
    # The new world is the base at the first slice after the reset.
    assert np.allclose(position(path[4].poses[0]), 0.0, atol=1e-9)
    wait_until(lambda: bench.values('camera front').get('used') == '6', 'six frames used')
    assert bench.values('inference')['window fill'] == '2 of 4'
    wait_until(lambda: len(poses) == 6, 'six poses')


def test_a_looping_bag_begins_anew(bench, cameras, start_node):
    start_node(use_sim_time=True)
    path = bench.listen(Path, 'path')
    stamps = cameras.recording.stamps('front')
    bench.set_clock(stamps[0])
    cameras.connect()
    ready(bench, 'path')
    for _ in range(2):
        for k in range(8):
            bench.set_clock(stamps[k])
            cameras.play([k], path)
    assert [len(message.poses) for message in path] == [*range(1, 9), *range(1, 9)]
    wait_until(lambda: bench.values('camera front').get('used') == '16', 'all frames used')
    assert all(balanced(bench.values(f'camera {name}')) for name in cameras.images)


def test_stamps_that_jump_back_without_a_clock_begin_anew(bench, cameras, start_node):
    node = start_node()
    path = bench.listen(Path, 'path')
    cameras.connect()
    ready(bench, 'path')
    cameras.play(range(10), path)
    cameras.send(0)  # one frame from the past may be an accident: two are a jump
    cameras.play(range(1, 4), path)
    assert 'time has jumped' in node.log
    assert len(path[-1].poses) <= 4
    # TF is static: it was published once, before the jump, and still holds.
    assert path[-1].header.frame_id == 'fourd_world'
    wait_until(lambda: int(bench.values('camera front').get('used', 0)) >= 13, 'all used')
    assert all(balanced(bench.values(f'camera {name}')) for name in cameras.images)


def test_a_dead_camera_is_told_of_and_taken_back(bench, cameras, start_node):
    node = start_node(camera_timeout=0.5, sync_timeout=0.3)
    left, right = (bench.listen(PoseStamped, f'{name}/pose') for name in ('left', 'right'))
    cameras.connect()
    ready(bench, 'pose')
    cameras.play(range(3))
    cameras.silent = {'front'}  # the reference
    cameras.play(range(3, 9))
    node.wait_for_log("in place of 'front'")
    wait_until(lambda: bench.status('camera front').level == b'\x01', 'a warning')
    cameras.silent = set()
    cameras.play(range(9, 12))
    newest = cameras.images['right'][11].header.stamp
    wait_until(lambda: right[-1].header.stamp == newest, 'the last pose')
    stamps = [m.header.stamp for m in left]
    assert cameras.images['left'][7].header.stamp in stamps, 'two cameras went on'
    truth = cameras.recording
    relative = np.linalg.inv(
        truth.world_from_base(truth.stamps('left')[0])
    ) @ truth.world_from_camera('right', truth.stamps('right')[11])
    # One world from the first slice to the last, across the change of the reference.
    assert np.allclose(position(right[-1]), relative[:3, 3], atol=1e-3)


def test_the_reader_takes_the_reliability_that_the_publisher_offers(
    bench, recording, images, start_node
):
    start_node()
    rough = Cameras(bench, recording, images, qos=BEST_EFFORT)
    depth = bench.listen(Image, 'front/depth/image_rect')
    rough.connect()
    ready(bench, 'depth')
    rough.play(range(2), depth)
    assert bench.values('camera front')['reliability'] == 'best_effort'
    rough.close()
    exact = Cameras(bench, recording, images)
    wait_until(
        lambda: bench.values('camera front')['reliability'] == 'reliable', 'a reliable reader'
    )
    exact.connect()
    exact.play(range(2, 4), depth)


def test_images_without_calibration_give_masks_only(bench, recording, images, start_node):
    blank = {name: _uncalibrated(camera) for name, camera in recording.cameras.items()}
    start_node()
    cameras = Cameras(bench, recording, images, models=blank)
    mask, depth = (
        bench.listen(Image, 'front/dynamic_mask'),
        bench.listen(Image, 'front/depth/image_rect'),
    )
    cameras.connect()
    ready(bench, 'dynamic_mask')
    cameras.play([0])
    cameras.play(range(1, 3), mask)
    assert not depth
    bench.forget_status()
    wait_until(lambda: bench.status('camera front'), 'diagnostics')
    assert 'uncalibrated' in bench.status('camera front').message
    assert 'without depth' in bench.status('outputs').message
    assert 'CameraInfo' in bench.status('outputs').message


def _uncalibrated(camera):
    from dataclasses import replace

    return replace(camera, intrinsics=None)


def test_a_calibration_that_contradicts_its_image_is_refused_with_both_sizes(
    bench, recording, images, start_node
):
    start_node()
    models = dict(recording.cameras)
    models['left'] = models['left'].resized(640, 480)
    cameras = Cameras(bench, recording, images, models=models)
    depth = bench.listen(Image, 'front/depth/image_rect')
    cameras.connect()
    ready(bench, 'depth')
    cameras.play(range(3), depth)
    bench.forget_status()
    wait_until(lambda: bench.values('camera left').get('invalid') == '3', 'three invalid frames')
    message = bench.status('camera left').message
    assert '640x480' in message
    assert f'{recording.cameras["left"].width}x{recording.cameras["left"].height}' in message

"""TF in, TF out: scale and base from the rig, and never a second parent."""

import time

from fourd_perception.wire.transforms import Edge, edges_of, pose_matrix, tf_message
from nav_msgs.msg import Odometry
from node_bench import Cameras, TYPES, wait_until
import numpy as np
from sensor_msgs.msg import Image, PointCloud2
from tf2_msgs.msg import TFMessage


def listen_to_tf(bench):
    """A list that grows with the messages of the node, and the wait for it to know."""
    tf = bench.listen(TFMessage, '/tf')
    wait_until(lambda: 'tf' in bench.values('outputs').get('wanted', ''), 'tf wanted')
    return tf


def edges(messages):
    """All transforms of TF messages."""
    return [edge for message in messages for edge in edges_of(message)]


def play_until_heard(cameras, heard):
    """Send instants until the first is answered; the next one.

    /tf_static may reach the node after an image, and its publisher the bench after a transform.
    """
    for k in range(cameras.count):
        cameras.send(k)
        try:
            wait_until(lambda: heard, 'an answer', 2.0)
        except AssertionError:
            continue
        return k + 1
    raise AssertionError('no answer to any instant')


def let_tf_wait_pass(bench, cameras):
    """Send the first instant, and wait until TF has had its time to tell of the cameras."""
    cameras.send(0)
    wait_until(lambda: int(bench.values('camera front').get('overwritten', 0)), 'a slice in vain')
    time.sleep(0.5)


def test_the_base_moves_in_the_world_as_it_did_in_truth(bench, cameras, start_node):
    start_node(tf__mode='base')
    tf = listen_to_tf(bench)
    cameras.connect()
    first = play_until_heard(cameras, tf)
    cameras.play(range(first, first + 5), tf)
    truth = cameras.recording
    start, *_ = edges(tf)
    world_from_truth = start.parent_from_child @ np.linalg.inv(truth.world_from_base(start.stamp))
    for edge in edges(tf):
        expected = world_from_truth @ truth.world_from_base(edge.stamp)
        error = np.linalg.inv(expected) @ edge.parent_from_child
        assert (edge.parent, edge.child) == ('fourd_world', 'base_link')
        assert np.linalg.norm(error[:3, 3]) < 1e-3
        assert np.abs(error[:3, :3] - np.eye(3)).max() < np.radians(0.01)
    stamps = [edge.stamp for edge in edges(tf)]
    begin = truth.stamps('front').index(start.stamp)
    assert stamps == list(truth.stamps('front')[begin : first + 5]), 'each stamp once'


def test_a_foreign_parent_that_appears_later_stops_the_broadcast(bench, cameras, start_node):
    node = start_node(tf__mode='base')
    tf = listen_to_tf(bench)
    depth = bench.listen(Image, 'front/depth/image_rect')
    cameras.connect()
    first = play_until_heard(cameras, tf)
    cameras.play([first], tf)
    odom = bench.node.create_publisher(TFMessage, '/tf', 10)
    wait_until(odom.get_subscription_count, 'the node on /tf')
    stamp = cameras.recording.stamps('front')[first + 1]
    odom.publish(tf_message(TYPES, [Edge('odom', 'base_link', np.eye(4), stamp)]))
    wait_until(lambda: edges(tf)[-1].parent == 'odom', 'the foreign transform')
    cameras.play(range(first + 1, first + 4), depth)
    *before, last = [edge.parent for edge in edges(tf)]
    assert (set(before), last) == ({'fourd_world'}, 'odom')
    node.wait_for_log('base_link has the parent odom')
    bench.forget_status()
    wait_until(lambda: bench.status('transforms'), 'diagnostics')
    assert bench.status('transforms').level == b'\x02'


def test_below_an_odometry_the_world_is_its_parent(bench, cameras, start_node):
    start_node(tf__wait=0.5)
    tf, depth = listen_to_tf(bench), bench.listen(Image, 'front/depth/image_rect')
    odom = bench.node.create_publisher(TFMessage, '/tf', 10)
    cameras.connect()
    truth = cameras.recording
    for k in range(12):
        stamp = truth.stamps('front')[k]
        odom.publish(
            tf_message(TYPES, [Edge('odom', 'base_link', truth.world_from_base(stamp), stamp)])
        )
        cameras.play([k], depth if k > 5 else None)
    ours = [edge for edge in edges(tf) if edge.parent == 'fourd_world']
    assert ours, 'nothing was broadcast'
    assert {edge.child for edge in ours} == {'odom'}
    # An odometry without drift stands still in the world.
    assert all(
        np.allclose(e.parent_from_child, ours[0].parent_from_child, atol=1e-3) for e in ours
    )


def test_a_rig_unknown_to_tf_has_no_scale_and_says_so(bench, recording, images, start_node):
    start_node()
    cameras = Cameras(bench, recording, images, posed=[])
    mask = bench.listen(Image, 'front/dynamic_mask')
    points = bench.listen(PointCloud2, 'points')
    tf = listen_to_tf(bench)
    cameras.connect()
    let_tf_wait_pass(bench, cameras)
    cameras.send(1)  # masks begin with the second slice
    wait_until(lambda: bench.values('inference').get('inferred') == '1', 'the first slice')
    cameras.play(range(2, 5), mask)
    assert not points
    assert not edges(tf)
    bench.forget_status()
    wait_until(lambda: bench.status('scale'), 'diagnostics')
    assert bench.values('scale')['source'] == 'none'
    message = bench.status('outputs').message
    assert 'without points, tf' in message
    assert 'allow_unscaled' in message


def test_unscaled_cameras_hang_below_the_world_when_asked_for(
    bench, recording, images, start_node
):
    start_node(allow_unscaled=True)
    cameras = Cameras(bench, recording, images, posed=[])
    tf = listen_to_tf(bench)
    cameras.connect()
    let_tf_wait_pass(bench, cameras)
    cameras.play(range(1, 5), tf)
    assert {(edge.parent, edge.child) for edge in edges(tf)} == {
        ('fourd_world', camera.frame_id) for camera in recording.cameras.values()
    }


def test_a_camera_that_comes_later_hangs_below_the_world_as_well(
    bench, recording, images, start_node
):
    start_node(allow_unscaled=True, sync_timeout=0.2, camera_timeout=0.5)
    cameras = Cameras(bench, recording, images, posed=[])
    tf = listen_to_tf(bench)
    cameras.connect()
    cameras.silent = {'left'}
    let_tf_wait_pass(bench, cameras)
    cameras.play(range(1, 4), tf)
    late = recording.cameras['left'].frame_id
    assert late not in {edge.child for edge in edges(tf)}
    cameras.silent = set()
    cameras.play(range(4, 8), tf)
    wait_until(lambda: late in {edge.child for edge in edges(tf)}, f'a transform of {late}')
    assert {edge.parent for edge in edges(tf)} == {'fourd_world'}


def test_an_odometry_asked_for_is_waited_for(bench, cameras, start_node):
    """Before it has spoken, base looks like a root, and would be given a second parent."""
    start_node(tf__mode='odom', tf__wait=2.0)
    tf, depth = listen_to_tf(bench), bench.listen(Image, 'front/depth/image_rect')
    odom = bench.node.create_publisher(TFMessage, '/tf', 10)
    cameras.connect()
    cameras.play([0], depth)
    truth = cameras.recording
    for k in range(1, 12):
        stamp = truth.stamps('front')[k]
        odom.publish(
            tf_message(TYPES, [Edge('odom', 'base_link', truth.world_from_base(stamp), stamp)])
        )
        time.sleep(0.2)
        cameras.play([k], depth)
    ours = [edge for edge in edges(tf) if edge.parent == 'fourd_world']
    assert {edge.child for edge in ours} == {'odom'}


def test_cameras_of_a_laboratory_live_in_its_frame(bench, recording, images, start_node):
    start_node(frames__fixed='base_link')
    cameras = Cameras(bench, recording, images)
    points, tf = bench.listen(PointCloud2, 'points'), bench.listen(TFMessage, '/tf')
    odometry = bench.listen(Odometry, 'odometry')
    cameras.connect()
    wait_until(
        lambda: bench.values('outputs').get('wanted') == 'odometry, points', 'all but tf wanted'
    )
    cameras.play(range(2), odometry)
    wait_until(lambda: points, 'points')
    assert {message.header.frame_id for message in points} == {'base_link'}
    assert not tf
    front = recording.cameras['front']
    for message in odometry:  # there is no base that could move
        assert (message.header.frame_id, message.child_frame_id) == ('base_link', front.frame_id)
        assert np.allclose(pose_matrix(message.pose.pose), front.base_from_camera, atol=1e-6)
    linear = odometry[-1].twist.twist.linear
    assert np.allclose([linear.x, linear.y, linear.z], 0.0, atol=1e-6)

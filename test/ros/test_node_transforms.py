"""TF in, TF out: scale and base from the rig, and never a second parent."""

from fourd_perception.wire.transforms import Edge, edges_of, tf_message
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


def test_the_base_moves_in_the_world_as_it_did_in_truth(bench, cameras, start_node):
    start_node(tf__mode='base')
    tf = listen_to_tf(bench)
    cameras.connect()
    cameras.play(range(6), tf)
    truth = cameras.recording
    start = np.linalg.inv(truth.world_from_base(truth.stamps('front')[0]))
    for edge in edges(tf):
        expected = start @ truth.world_from_base(edge.stamp)
        error = np.linalg.inv(expected) @ edge.parent_from_child
        assert (edge.parent, edge.child) == ('fourd_world', 'base_link')
        assert np.linalg.norm(error[:3, 3]) < 1e-3
        assert np.abs(error[:3, :3] - np.eye(3)).max() < np.radians(0.01)
    stamps = [edge.stamp for edge in edges(tf)]
    assert stamps == list(truth.stamps('front')[:6]), 'each stamp once'


def test_a_foreign_parent_that_appears_later_stops_the_broadcast(bench, cameras, start_node):
    node = start_node(tf__mode='base')
    tf = listen_to_tf(bench)
    depth = bench.listen(Image, 'front/depth/image_rect')
    cameras.connect()
    cameras.play(range(2), tf)
    odom = bench.node.create_publisher(TFMessage, '/tf', 10)
    wait_until(odom.get_subscription_count, 'the node on /tf')
    stamp = cameras.recording.stamps('front')[2]
    odom.publish(tf_message(TYPES, [Edge('odom', 'base_link', np.eye(4), stamp)]))
    wait_until(lambda: edges(tf)[-1].parent == 'odom', 'the foreign transform')
    cameras.play(range(2, 5), depth)
    assert [edge.parent for edge in edges(tf)] == ['fourd_world', 'fourd_world', 'odom']
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
    cameras.play(range(4))
    cameras.play(range(4, 7), mask)
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
    cameras.play(range(4))
    cameras.play(range(4, 8), tf)
    assert {(edge.parent, edge.child) for edge in edges(tf)} == {
        ('fourd_world', camera.frame_id) for camera in recording.cameras.values()
    }


def test_cameras_of_a_laboratory_live_in_its_frame(bench, recording, images, start_node):
    start_node(frames__fixed='base_link')
    cameras = Cameras(bench, recording, images)
    points, tf = bench.listen(PointCloud2, 'points'), bench.listen(TFMessage, '/tf')
    cameras.connect()
    wait_until(lambda: bench.values('outputs').get('wanted') == 'points', 'points wanted, not tf')
    cameras.play(range(2), points)
    assert {message.header.frame_id for message in points} == {'base_link'}
    assert not tf

"""Player and recorder against each other over real DDS: bytes, QoS, order, losses."""

from __future__ import annotations

from collections.abc import Iterator
import itertools
from pathlib import Path
import time

from fourd_perception.bag.qos import LATCHED, TopicQos
from fourd_perception.bag.reader import BagReader
from fourd_perception.bag.types import BagTypes, serialise
from fourd_perception.bag.writer import BagWriter
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.ros.bag_qos import QUEUE
from fourd_perception.ros.cdr import leading_stamp
from fourd_perception.ros.player import Player
from fourd_perception.ros.recorder import Recorder
from fourd_perception.wire.camera_info import camera_info_message
from fourd_perception.wire.images import image_message
from fourd_perception.wire.transforms import Edge, tf_message
import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

START = 1_700_000_000_123_456_789
STEP = 50_000_000
DOMAINS = itertools.count(50)
TYPES = BagTypes()
IMAGE, INFO, TF_STATIC = '/cam/image_rect', '/cam/camera_info', '/tf_static'


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    """Two nodes that nobody spins, `player` and `recorder`, alone on a domain."""
    context = Context()
    rclpy.init(context=context, domain_id=next(DOMAINS))
    yield tuple(rclpy.create_node(name, context=context) for name in ('player', 'recorder'))
    context.try_shutdown()


@pytest.fixture
def bag(tmp_path: Path) -> Iterator[BagReader]:
    """Six images of 1.2 MB with CameraInfo, one latched transform."""
    rng = np.random.default_rng(0)
    camera = CameraModel('cam', 800, 500, np.diag([400.0, 400.0, 1.0]), 'cam')
    with BagWriter(tmp_path / 'played') as writer:
        writer.topic(TF_STATIC, 'tf2_msgs/msg/TFMessage', LATCHED)
        writer.topic(INFO, 'sensor_msgs/msg/CameraInfo')
        writer.topic(IMAGE, 'sensor_msgs/msg/Image', TopicQos(reliable=False))
        edge = Edge('base_link', 'cam', np.eye(4), START)
        writer.write(TF_STATIC, START, tf_message(TYPES, [edge]))
        for k in range(6):
            stamp = START + k * STEP
            pixels = rng.integers(0, 256, (500, 800, 3), np.uint8)
            writer.write(INFO, stamp, camera_info_message(TYPES, stamp, camera))
            writer.write(IMAGE, stamp + 1_000, image_message(TYPES, stamp, 'cam', pixels, 'rgb8'))
    with BagReader(tmp_path / 'played') as reader:
        yield reader


def play_and_record(
    nodes: tuple[Node, Node], bag: BagReader, out: Path, rate: float, loops: int = 1
) -> tuple[Player, Recorder]:
    with BagWriter(out) as writer:
        player = Player(nodes[0], bag, [IMAGE, INFO, TF_STATIC], rate, loops)
        recorder = Recorder(
            nodes[1], '/player', writer, lambda: player.unrolled, shared=['/tf_static']
        )
        recorder.sent = []  # (topic, its time), in the order of sending
        recorder.on_message = lambda *heard: recorder.sent.append(heard)
        player.announce()
        deadline = time.monotonic() + 10
        while player.unmatched() or not recorder.matched() or '/clock' not in recorder.topics:
            recorder.discover()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)
        player.start()
        while not player.finished:
            time.sleep(min(player.step(), 0.02))
            recorder.drain()
        ended = time.monotonic()
        while time.monotonic() < ended + 1.0:
            time.sleep(player.step())
        recorder.drain()
    recorder.sent = [(topic, time_in(topic, p)) for topic, _, p in sorted(recorder.sent, key=when)]
    return player, recorder


def when(heard: tuple[str, int, bytes]) -> int:
    return heard[1]


def time_in(topic: str, payload: bytes) -> int:
    """A Clock begins with its time as a header does with its stamp."""
    return leading_stamp(payload) if topic in ('/clock', IMAGE, INFO) else 0


def test_bytes_and_qos_arrive_as_they_were_recorded(nodes, bag, tmp_path):
    player, recorder = play_and_record(nodes, bag, tmp_path / 'out', rate=1.0)
    with BagReader(tmp_path / 'out') as recorded:
        for topic in (IMAGE, INFO, TF_STATIC):
            played = [payload for _, _, payload in bag.messages([topic])]
            assert [payload for _, _, payload in recorded.messages([topic])] == played
            offered = bag.topics[topic].qos
            found = recorded.topics[topic].qos
            assert found.reliable == offered.reliable
            assert found.transient_local == offered.transient_local
    assert player.published == {IMAGE: 6, INFO: 6, TF_STATIC: 1}
    assert {topic: r.lost for topic, r in recorder.topics.items() if r.lost} == {}
    assert recorder.topics[IMAGE].count == 6


def test_the_clock_ticks_up_to_every_message_and_jumps_back_with_every_pass(nodes, bag, tmp_path):
    begin = time.monotonic()
    player, recorder = play_and_record(nodes, bag, tmp_path / 'out', rate=0.5, loops=2)
    assert time.monotonic() - begin > 2 * 0.25 / 0.5
    assert player.published[IMAGE] == 12
    ticks = [stamp for topic, stamp in recorder.sent if topic == '/clock']
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert sum(step < 0 for step in steps) == 1
    assert min(steps) < -4 * STEP
    assert max(steps) == 10_000_000
    assert ticks[-1] > START + 5 * STEP + 300_000_000, 'deadlines after the last message pass'
    now = 0
    for topic, stamp in recorder.sent:
        if topic == '/clock':
            now = stamp
        elif topic == IMAGE:
            assert 0 <= stamp + 1_000 - now <= 10_000_000


def test_messages_that_never_came_are_counted(nodes, tmp_path):
    from sensor_msgs.msg import CameraInfo

    publisher = nodes[0].create_publisher(
        CameraInfo, '/cam/camera_info', QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    )
    with BagWriter(tmp_path / 'out') as writer:
        recorder = Recorder(nodes[1], '/player', writer, lambda: START)
        while '/cam/camera_info' not in recorder.topics or not recorder.matched():
            recorder.discover()
            time.sleep(0.05)
        time.sleep(0.3)
        publisher.publish(CameraInfo())
        time.sleep(0.2)
        recorder.drain()
        for _ in range(QUEUE + 50):
            publisher.publish(CameraInfo())
        time.sleep(0.5)
        recorder.drain()
    topic = recorder.topics['/cam/camera_info']
    assert topic.count == 1 + QUEUE
    assert topic.lost == 50


def test_the_stamp_is_read_from_serialized_bytes_in_either_byte_order():
    message = image_message(TYPES, START, 'cam', np.zeros((2, 2), np.uint8), 'mono8')
    payload = serialise(message)
    assert leading_stamp(payload) == START
    big = bytes([0, 0, 0, 0]) + payload[4:8][::-1] + payload[8:12][::-1] + payload[12:]
    assert leading_stamp(big) == START

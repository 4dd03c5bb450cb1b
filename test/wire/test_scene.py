"""A whole update: its topics, stamps and sizes, and the same bytes from both libraries."""

from dataclasses import replace

from fourd_perception.bag.types import BagTypes, deserialise, serialise
from fourd_perception.engine.scene_update import Label, Output
from fourd_perception.wire.camera_info import camera_from_info
from fourd_perception.wire.clouds import cloud_of
from fourd_perception.wire.images import image_array
from fourd_perception.wire.scene import scene_messages, stamped_pose
from fourd_perception.wire.settings import WireSettings
from fourd_perception.wire.stamps import nanoseconds, stamp_of
from fourd_perception.wire.topics import scene_topics
from fourd_perception.wire.transforms import pose_matrix
import numpy as np
import pytest

EVERYTHING = frozenset(Output)
ELSEWHERE = {'path'}  # kept by the node, over many updates


def messages(update, wanted=EVERYTHING, types=None, seconds=None, **settings):
    """All messages of an update by topic."""
    out = scene_messages(
        update,
        frozenset(wanted),
        WireSettings(**settings),
        types or BagTypes(),
        {} if seconds is None else seconds,
    )
    return {outgoing.topic: outgoing.message for outgoing in out}


def test_every_topic_of_the_table_comes_once_with_its_type(update):
    sent = [
        (outgoing.topic, outgoing.type_name)
        for outgoing in scene_messages(update, EVERYTHING, WireSettings(), BagTypes(), {})
    ]
    table = [(s.name, s.type) for s in scene_topics(update.cameras) if s.name not in ELSEWHERE]
    assert sorted(sent) == sorted(table)
    assert {topic for topic, _ in sent} >= {'left/rear/depth/image_rect', 'points_dynamic'}


def test_stamps_are_the_input_s_own_integers(update):
    for topic, message in messages(update).items():
        camera = next((c for n, c in update.cameras.items() if topic.startswith(n)), None)
        if camera is None:
            wanted = update.slice.stamp
        elif '/flow' in topic:
            wanted = camera.flow_forward.older_stamp
        else:
            wanted = camera.frame.stamp
        assert stamp_of(message.header) == wanted, topic
    interval = messages(update)['left/rear/flow/interval']
    assert nanoseconds(interval.time_ref) == update.cameras['left/rear'].frame.stamp


def test_frames_are_optical_per_camera_and_base_or_world_for_the_rig(update):
    sent = messages(update)
    assert sent['front/points'].header.frame_id == 'front_optical_frame'
    assert sent['front/dynamic_mask'].header.frame_id == 'front_optical_frame'
    assert sent['front/pose'].header.frame_id == 'fourd_world'
    assert sent['points'].header.frame_id == 'base_link'
    assert sent['odometry'].header.frame_id == 'fourd_world'
    assert sent['odometry'].child_frame_id == 'base_link'
    in_world = messages(update, cloud_frame='world')
    assert in_world['points'].header.frame_id == 'fourd_world'
    shift = cloud_of(in_world['points']).xyz.mean(0) - cloud_of(sent['points']).xyz.mean(0)
    np.testing.assert_allclose(shift, [0.5, 0, 0], atol=0.05)


def test_without_a_rig_the_body_is_the_reference_camera_and_clouds_are_in_the_world(update):
    sent = messages(replace(update, rig_known=False))
    assert sent['odometry'].child_frame_id == 'front_optical_frame'
    assert sent['points'].header.frame_id == 'fourd_world'


def test_each_array_has_the_size_that_its_camera_info_says(update):
    sent = messages(update)
    for name, camera in update.cameras.items():
        for image, info, model in (
            ('depth/image_rect', 'depth/camera_info', camera.output),
            ('dynamic_mask', 'dynamic_mask/camera_info', camera.input),
        ):
            described = camera_from_info(sent[f'{name}/{info}'], name)
            array = image_array(sent[f'{name}/{image}'])
            assert array.shape == (described.height, described.width)
            np.testing.assert_array_equal(described.intrinsics, model.intrinsics)
        rows, columns = camera.depth.shape
        assert (sent[f'{name}/points'].height, sent[f'{name}/points'].width) == (rows, columns)
        assert sent[f'{name}/dynamic_mask'].step == camera.input.width
        assert sent[f'{name}/flow'].step == columns * 8


def test_arrays_arrive_as_they_were(update):
    sent, camera = messages(update), update.cameras['front']
    np.testing.assert_array_equal(image_array(sent['front/depth/image_rect']), camera.depth)
    np.testing.assert_array_equal(image_array(sent['front/depth/confidence']), camera.confidence)
    np.testing.assert_array_equal(image_array(sent['front/labels']), camera.label)
    np.testing.assert_array_equal(image_array(sent['front/flow']), camera.flow_forward.flow)
    np.testing.assert_array_equal(cloud_of(sent['front/points']).rgb, camera.colour)
    np.testing.assert_allclose(pose_matrix(sent['front/pose'].pose), camera.world_from_camera)


def test_unknown_is_never_static(update):
    label = update.cameras['front'].input_label
    mask = image_array(messages(update, dynamic_value=1)['front/dynamic_mask'])
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(mask == 0, label == Label.STATIC)


def test_depth_in_millimetres_has_zero_where_it_says_nothing(update):
    front = update.cameras['front']
    depth = np.full_like(front.depth, 1.2346)
    depth[0, :4] = [np.nan, np.inf, 65.535, 70.0]
    cameras = {'front': replace(front, depth=depth)}
    sent = messages(replace(update, cameras=cameras), depth_encoding='16UC1')
    image = sent['front/depth/image_rect']
    assert image.encoding == '16UC1' and image.step == 14
    assert image_array(image)[0].tolist() == [0, 0, 65535, 0, 1235, 1235, 1235]


def test_what_is_not_known_is_silent(update):
    bare = {
        name: replace(
            camera, depth=None, confidence=None, label=None, input_label=None, flow_forward=None,
            world_from_camera=None, colour=None,
        )
        for name, camera in update.cameras.items()
    }  # fmt: skip
    assert messages(replace(update, cameras=bare, world_from_base=None)) == {}
    # In a fixed rig poses are known without a scale; clouds still are not.
    assert set(messages(replace(update, cameras=bare))) == {'odometry'}


def test_only_what_is_wanted_is_made_and_only_when_asked_for(update):
    seconds: dict[str, float] = {}
    sent = messages(update, {Output.DEPTH}, seconds=seconds)
    assert {topic.split('/')[-1] for topic in sent} == {'image_rect', 'camera_info'}
    assert len(sent) == 4 and set(seconds) == {'pack'}
    stream = scene_messages(update, EVERYTHING, WireSettings(), BagTypes(), seconds)
    next(stream)
    assert 'clouds' not in seconds
    list(stream)
    assert seconds['clouds'] > 0 and seconds['pack'] > 0


def test_the_twist_comes_from_the_pose_before(update):
    before = replace(stamped_pose(update), stamp=update.slice.stamp - 250_000_000)
    before = replace(before, world_from_base=np.eye(4))
    stream = scene_messages(
        update, frozenset({Output.ODOMETRY}), WireSettings(), BagTypes(), {}, before
    )
    (odometry,) = stream
    assert odometry.message.twist.twist.linear.x == pytest.approx(2.0)


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({'dynamic_value': 0}, {'cloud_frame': 'map'}, {'depth_encoding': '64FC1'}):
        with pytest.raises(ValueError, match=str(*wrong.values())):
            WireSettings(**wrong)


def test_rosbags_and_rclpy_write_the_same_bytes(update):
    serialization = pytest.importorskip('rclpy.serialization', reason='needs rclpy')
    from fourd_perception.ros.messages import RclpyTypes

    ours, theirs = messages(update), messages(update, types=RclpyTypes())
    assert ours.keys() == theirs.keys()
    for topic, message in ours.items():
        name = message.__msgtype__
        raw, live = serialise(message), serialization.serialize_message(theirs[topic])
        # rclpy leaves whatever was in memory between the fields; nothing else may differ.
        assert len(live) == len(raw) and serialise(deserialise(live, name)) == raw, topic


def test_numbers_reach_rclpy_as_arrays_and_as_nothing_slower(update):
    """Numpy arrays are walked through element by element, bytes too where fields are checked."""
    pytest.importorskip('sensor_msgs.msg', reason='needs the messages of ROS')
    from array import array

    from fourd_perception.ros.messages import RclpyTypes

    seen = []

    class Watched(RclpyTypes):
        """Looks at every field on its way into a message class."""

        def message(self, name):
            message_class = super().message(name)

            def make(**fields):
                seen.extend((name.split('/')[-1], key, value) for key, value in fields.items())
                return message_class(**fields)

            return make

    messages(update, types=Watched())
    numbers = {'data', 'd', 'k', 'r', 'p', 'covariance'}
    assert {key for _, key, _ in seen} >= numbers
    for name, key, value in seen:
        if key in numbers:
            assert type(value) is array, (name, key, type(value))
        else:
            assert not isinstance(value, (bytes, np.ndarray, np.generic)), (name, key, value)

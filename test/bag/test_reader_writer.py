"""Recordings as others read and write them."""

from fourd_perception.bag.qos import LATCHED, TopicQos
from fourd_perception.bag.reader import BagError, BagReader
from fourd_perception.bag.types import BagTypes, serialise
from fourd_perception.bag.writer import BagWriter
from fourd_perception.wire.images import image_message
from fourd_perception.wire.transforms import Edge, tf_message
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.writer import Writer as McapRos2Writer
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
import yaml

TYPES = BagTypes()
START = 1_700_000_000_123_456_789
IMAGE, TF = 'sensor_msgs/msg/Image', 'tf2_msgs/msg/TFMessage'


def picture(stamp: int) -> object:
    """An image whose first pixel tells its stamp's last digits."""
    pixels = np.full((3, 4, 3), stamp % 251, np.uint8)
    return image_message(TYPES, stamp, 'camera', pixels, 'rgb8')


@pytest.fixture
def bag(tmp_path):
    """Ten images, every other one as bytes, and one latched transform."""
    path = tmp_path / 'bag'
    with BagWriter(path) as writer:
        writer.topic('/tf_static', TF, LATCHED)
        writer.topic('/camera/image', IMAGE, TopicQos(reliable=False, depth=3))
        edge = Edge('base_link', 'camera', np.eye(4), START)
        writer.write('/tf_static', START, tf_message(TYPES, [edge]))
        for n in range(10):
            message = picture(START + n)
            data = serialise(message) if n % 2 else message
            writer.write('/camera/image', START + n * 1_000_000, data)
    return path


def test_what_was_written_is_read(bag):
    with BagReader(bag) as reader:
        topics = reader.topics
        assert {name: (t.type, t.count) for name, t in topics.items()} == {
            '/tf_static': (TF, 1),
            '/camera/image': (IMAGE, 10),
        }
        assert topics['/tf_static'].qos == LATCHED
        assert topics['/camera/image'].qos == TopicQos(reliable=False, depth=3)
        assert (reader.start, reader.end) == (START, START + 9_000_000)
        read = list(reader.messages(['/camera/image']))
        assert [(topic, time) for topic, time, _ in read] == [
            ('/camera/image', START + n * 1_000_000) for n in range(10)
        ]
        assert [data for _, _, data in read] == [serialise(picture(START + n)) for n in range(10)]
        assert reader.decode('/camera/image', read[3][2]).data[0] == (START + 3) % 251
        assert len(list(reader.messages())) == 11
        some = list(reader.messages(None, START + 2_000_000, START + 4_000_000))
        assert len(some) == 3


def test_an_independent_reader_finds_the_same(bag):
    with (bag / 'bag.mcap').open('rb') as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        read = [
            (channel.topic, schema.name, record.log_time, message)
            for schema, channel, record, message in reader.iter_decoded_messages()
        ]
    images = [entry for entry in read if entry[0] == '/camera/image']
    assert len(images) == 10 and {entry[1] for entry in images} == {IMAGE}
    for n, (_, _, time, message) in enumerate(images):
        assert time == START + n * 1_000_000
        stamp = message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == START + n
        assert (message.height, message.width, message.step) == (3, 4, 12)
        assert bytes(message.data) == bytes([(START + n) % 251] * 36)
    (transform,) = next(e[3] for e in read if e[0] == '/tf_static').transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ('base_link', 'camera')


def test_metadata_says_what_ros2_bag_play_asks_for(bag):
    info = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    # 8 is the newest version that all distributions from Humble on read.
    assert (info['version'], info['storage_identifier']) == (8, 'mcap')
    assert info['relative_file_paths'] == ['bag.mcap'] and info['message_count'] == 11
    assert info['starting_time']['nanoseconds_since_epoch'] == START
    assert info['duration']['nanoseconds'] == 9_000_000
    assert (info['compression_format'], info['compression_mode']) == ('', '')
    topics = {t['topic_metadata']['name']: t for t in info['topics_with_message_count']}
    entry = topics['/tf_static']['topic_metadata']
    assert (entry['type'], entry['serialization_format']) == (TF, 'cdr')
    assert entry['type_description_hash'].startswith('RIHS01_e369d0f05a23ae52')
    # Up to version 8 the profiles are YAML in a string, with the numbers of rmw.
    (qos,) = yaml.safe_load(entry['offered_qos_profiles'])
    assert (qos['history'], qos['depth'], qos['reliability'], qos['durability']) == (1, 1, 1, 1)
    assert qos['deadline'] == {'sec': 9223372036, 'nsec': 854775807}


def test_a_recording_broken_off_by_an_error_is_whole_up_to_there(tmp_path):
    with pytest.raises(RuntimeError), BagWriter(tmp_path / 'bag') as writer:
        writer.topic('/camera/image', IMAGE)
        writer.write('/camera/image', START, picture(START))
        raise RuntimeError
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.topics['/camera/image'].count == 1


def test_a_discarded_recording_leaves_nothing(tmp_path):
    writer = BagWriter(tmp_path / 'bag')
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_with_the_remedy(bag, tmp_path):
    with pytest.raises(BagError, match='choose another name'):
        BagWriter(bag)
    with BagWriter(tmp_path / 'other') as writer:
        with pytest.raises(BagError, match="'camera/image' must start with a slash"):
            writer.topic('camera/image', IMAGE)
        with pytest.raises(BagError, match='my_msgs/msg/Mine'):
            writer.topic('/mine', 'my_msgs/msg/Mine')
        with pytest.raises(BagError, match='/camera/image was not declared'):
            writer.write('/camera/image', START, b'')
        writer.topic('/camera/image', IMAGE)
        with pytest.raises(BagError, match='once'):
            writer.topic('/camera/image', IMAGE)


def test_what_cannot_be_read_is_refused_by_name(bag, tmp_path):
    for path in (tmp_path / 'absent', tmp_path):
        with pytest.raises(BagError, match='metadata.yaml'):
            BagReader(path)
    (bag / 'bag.mcap').write_bytes((bag / 'bag.mcap').read_bytes()[:200])
    with pytest.raises(BagError, match='bag is not a readable rosbag2 recording'):
        BagReader(bag)


def test_a_topic_that_is_not_there_is_named_with_those_that_are(bag):
    with BagReader(bag) as reader, pytest.raises(BagError, match='/depth.*/camera/image'):
        next(reader.messages(['/depth']))


def test_recordings_of_sqlite_are_read_too(tmp_path):
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection('/camera/image', IMAGE, typestore=store)
        writer.write(connection, START, serialise(picture(START)))
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.topics['/camera/image'].qos == TopicQos()
        assert [data for _, _, data in reader.messages()] == [serialise(picture(START))]


def test_a_type_of_somebody_else_is_learned_from_the_recording(tmp_path):
    path = tmp_path / 'theirs.mcap'
    with path.open('wb') as file:
        writer = McapRos2Writer(file)
        schema = writer.register_msgdef('their_msgs/msg/Thing', 'int32 number\nstring name')
        writer.write_message('/thing', schema, {'number': 7, 'name': 'x'}, START, START)
        writer.finish()
    with BagReader(path) as reader:
        ((topic, _, data),) = reader.messages()
        thing = reader.decode(topic, data)
    assert (thing.number, thing.name) == (7, 'x')

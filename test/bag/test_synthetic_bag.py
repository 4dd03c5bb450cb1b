"""A synthetic recording as a robot would have recorded it, read by an independent reader."""

from collections import defaultdict

from fourd_perception.bag.qos import LATCHED
from fourd_perception.bag.reader import BagError, BagReader
from fourd_perception.bag.synthetic_bag import MASK_VALUES, odom_from_base, write_synthetic
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.poses import rotation_angle
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
import numpy as np
import pytest

CAMERAS = 2


@pytest.fixture(scope='module')
def recording() -> SyntheticRecording:
    return make_recording('room', CAMERAS, seconds=0.3, rate=10.0)


@pytest.fixture(scope='module')
def bag(recording, tmp_path_factory):
    path = tmp_path_factory.mktemp('synthetic') / 'room'
    write_synthetic(recording, path)
    return path


@pytest.fixture(scope='module')
def read(bag):
    """(log time, message) by topic, decoded by mcap's own reader."""
    messages = defaultdict(list)
    with (bag / f'{bag.name}.mcap').open('rb') as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, channel, record, message in reader.iter_decoded_messages(log_time_order=False):
            messages[channel.topic].append((record.log_time, message))
    return messages


def stamp(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def matrix(rotation, translation) -> np.ndarray:
    """[4, 4] of a quaternion and a vector, by Hamilton's product written out."""
    x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
    out = np.eye(4)
    out[:3, :3] = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    out[:3, 3] = translation.x, translation.y, translation.z
    return out


def test_every_camera_has_images_calibration_and_truth(recording, read):
    wanted = {'/tf', '/tf_static', '/ground_truth/odometry'}
    for name in recording.cameras:
        wanted |= {f'/{name}/image_rect', f'/{name}/camera_info'}
        wanted |= {
            f'/ground_truth/{name}/{what}' for what in ('depth', 'flow', 'dynamic_mask', 'pose')
        }
    assert set(read) == wanted


def test_images_and_calibration_are_the_recording_s_own(recording, read):
    for name, camera in recording.cameras.items():
        images = [message for _, message in read[f'/{name}/image_rect']]
        infos = [message for _, message in read[f'/{name}/camera_info']]
        assert [stamp(m) for m in images] == list(recording.stamps(name))
        assert [stamp(m) for m in infos] == list(recording.stamps(name))
        last = images[-1]
        assert (last.encoding, last.header.frame_id) == ('rgb8', camera.frame_id)
        pixels = np.frombuffer(last.data, np.uint8).reshape(camera.height, camera.width, 3)
        np.testing.assert_array_equal(pixels, recording.image(name, stamp(last)))
        assert (infos[0].width, infos[0].height) == (camera.width, camera.height)
        np.testing.assert_array_equal(np.reshape(infos[0].p, (3, 4))[:, :3], camera.intrinsics)


def test_messages_arrive_after_their_stamp_in_the_order_of_the_file(read):
    arrivals = [time for messages in read.values() for time, _ in messages]
    latencies = [
        time - stamp(message)
        for topic, messages in read.items()
        if topic not in ('/tf', '/tf_static')
        for time, message in messages
    ]
    assert 0 < min(latencies) and max(latencies) < 50_000_000
    assert len(set(arrivals)) > 4


def test_the_file_is_in_the_order_of_arrival(bag):
    with (bag / f'{bag.name}.mcap').open('rb') as file:
        reader = make_reader(file)
        times = [r.log_time for _, _, r in reader.iter_messages(log_time_order=False)]
    assert times == sorted(times)


def test_the_rig_hangs_on_the_base_and_the_truth_is_a_tree_of_its_own(recording, read, bag):
    ((_, static),) = read['/tf_static']
    edges = {t.child_frame_id: t for t in static.transforms}
    assert set(edges) == {camera.frame_id for camera in recording.cameras.values()}
    for camera in recording.cameras.values():
        edge = edges[camera.frame_id]
        assert edge.header.frame_id == 'base_link'
        pose = matrix(edge.transform.rotation, edge.transform.translation)
        np.testing.assert_allclose(pose, camera.base_from_camera, atol=1e-12)
    for _, message in read['/tf']:
        (edge,) = message.transforms
        assert (edge.header.frame_id, edge.child_frame_id) == (
            'ground_truth',
            'ground_truth/base_link',
        )
        pose = matrix(edge.transform.rotation, edge.transform.translation)
        np.testing.assert_allclose(pose, recording.world_from_base(stamp(edge)), atol=1e-12)
    with BagReader(bag) as reader:
        assert reader.topics['/tf_static'].qos == LATCHED
        assert not reader.topics['/tf'].qos.transient_local


def test_the_truth_is_the_recording_s(recording, read):
    name, camera = next(iter(recording.cameras.items()))
    stamps = recording.stamps(name)
    size = camera.height, camera.width
    _, depth = read[f'/ground_truth/{name}/depth'][1]
    np.testing.assert_array_equal(
        np.frombuffer(depth.data, '<f4').reshape(size), recording.depth(camera, stamps[1])
    )
    _, flow = read[f'/ground_truth/{name}/flow'][1]
    wanted, hidden = recording.flow(camera, stamps[1], stamps[2])
    values = np.frombuffer(flow.data, '<f4').reshape(*size, 2)
    assert stamp(flow) == stamps[1] and flow.step == camera.width * 8
    assert np.isnan(values[hidden]).all() and hidden.any()
    np.testing.assert_array_equal(values[~hidden], wanted[~hidden])
    assert len(read[f'/ground_truth/{name}/flow']) == len(stamps) - 1
    for place, others in ((0, [1]), (1, [0, 2]), (2, [1])):
        _, mask = read[f'/ground_truth/{name}/dynamic_mask'][place]
        motion = recording.own_motion(camera, stamps[place], [stamps[i] for i in others])
        values = np.frombuffer(mask.data, np.uint8).reshape(size)
        assert (values == np.vectorize(MASK_VALUES.get)(dynamic_label(motion))).all()
        assert (values == 255).any()
    _, pose = read[f'/ground_truth/{name}/pose'][1]
    np.testing.assert_allclose(
        matrix(pose.pose.orientation, pose.pose.position),
        recording.world_from_camera(name, stamps[1]),
        atol=1e-12,
    )


def test_the_true_twist_is_the_motion_between_the_stamps(recording, read):
    (_, first), (_, second), *_ = read['/ground_truth/odometry']
    motion = recording.world_from_base(stamp(second)) - recording.world_from_base(stamp(first))
    speed = np.linalg.norm(motion[:3, 3]) / (stamp(second) - stamp(first)) * 1e9
    linear = second.twist.twist.linear
    assert np.linalg.norm([linear.x, linear.y, linear.z]) == pytest.approx(speed, rel=0.01)
    assert first.twist.covariance[0] >= 1e6


def test_the_scene_lies_beside_it(recording, bag):
    again = SyntheticRecording.load(bag)
    assert again.camera_stamps == recording.camera_stamps
    name = next(iter(again.cameras))
    first = again.stamps(name)[0]
    np.testing.assert_array_equal(again.image(name, first), recording.image(name, first))


def test_wheels_drift_away_slowly(recording, tmp_path):
    write_synthetic(recording, tmp_path / 'room', wheel_odometry=True)
    with BagReader(tmp_path / 'room') as reader:
        for topic, _, data in reader.messages(['/tf']):
            truth, wheels = reader.decode(topic, data).transforms
            assert (wheels.header.frame_id, wheels.child_frame_id) == ('odom', 'base_link')
        odometry = [reader.decode(topic, data) for topic, _, data in reader.messages(['/odom'])]
    assert odometry[0].child_frame_id == 'base_link' and len(odometry) == 3
    end = recording.stamps(next(iter(recording.cameras)))[-1]
    start = recording.start
    true = np.linalg.solve(recording.world_from_base(start), recording.world_from_base(end))
    drift = np.linalg.solve(true, odom_from_base(recording, end))
    seconds = (end - start) * 1e-9
    assert np.degrees(rotation_angle(drift[:3, :3])) == pytest.approx(0.5 * seconds, rel=1e-6)
    measured, travelled = (
        np.linalg.norm(pose[:3, 3]) for pose in (odom_from_base(recording, end), true)
    )
    assert measured == pytest.approx(1.02 * travelled) and travelled > 0.05


def test_the_same_recording_writes_the_same_bytes(bag, tmp_path):
    write_synthetic(SyntheticRecording.load(bag), tmp_path / 'room')
    for name in ('room.mcap', 'metadata.yaml', 'scene.yaml'):
        assert (tmp_path / 'room' / name).read_bytes() == (bag / name).read_bytes()


def test_after_an_error_nothing_is_left_and_nothing_is_overwritten(recording, bag, tmp_path):
    def interrupt(done: int, count: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(recording, tmp_path / 'room', progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    before = (bag / 'metadata.yaml').read_bytes()
    with pytest.raises(BagError, match='choose another name'):
        write_synthetic(recording, bag)
    assert (bag / 'metadata.yaml').read_bytes() == before

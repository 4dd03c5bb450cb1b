"""Recorded outputs come back as the arrays that the engine handed out, by integer stamps.

The engine runs here without ROS: images of a synthetic recording in, messages in a recording out.
"""

from fourd_perception.bag.outputs import RecordedOutputs
from fourd_perception.bag.reader import BagError
from fourd_perception.bag.types import BagTypes
from fourd_perception.bag.writer import BagWriter
from fourd_perception.engine.engine import Engine
from fourd_perception.engine.scene_update import Output
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.geometry.cameras import Rig
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.synthetic.recording import make_recording
from fourd_perception.synthetic.truth_predictor import TruthPredictor
from fourd_perception.wire.images import decode_image, image_message
from fourd_perception.wire.scene import scene_messages, stamped_pose
from fourd_perception.wire.settings import WireSettings
from fourd_perception.wire.stamps import nanoseconds, time_of
from fourd_perception.wire.topics import scene_topics
from fourd_perception.wire.transforms import Edge, path_message, pose_message, tf_message
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
import numpy as np
import pytest

TYPES = BagTypes()
PREFIX = 'fourd/'
LATENCY = 90_000_000
EVERYTHING = frozenset(Output)


@pytest.fixture(scope='module')
def recording():
    return make_recording('room', 2, seconds=0.3, rate=10.0)


@pytest.fixture(scope='module')
def updates(recording):
    """What the engine makes of every slice of the recording."""
    names = tuple(recording.cameras)
    engine = Engine(
        TruthPredictor(recording),
        EngineSettings(pixel_budget=6000),
        lambda frame: decode_image(frame.payload),
    )
    out = []
    for stamps in zip(*(recording.stamps(name) for name in names), strict=True):
        frames = tuple(
            Frame(
                name, stamp, image_message(TYPES, stamp, '', recording.image(name, stamp), 'rgb8')
            )
            for name, stamp in zip(names, stamps, strict=True)
        )
        time_slice = TimeSlice(names, frames, names[0])
        out.append(engine.step(time_slice, Rig(recording.cameras), EVERYTHING))
    return out


@pytest.fixture(scope='module')
def bag(recording, updates, tmp_path_factory):
    """Everything that the node would publish, the last update twice, as after a jump back."""
    path = tmp_path_factory.mktemp('outputs') / 'bag'
    with BagWriter(path) as writer:
        for spec in scene_topics(recording.cameras):
            writer.topic(f'/{PREFIX}{spec.name}', spec.type)
        writer.topic('/tf', 'tf2_msgs/msg/TFMessage')
        writer.topic('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray')
        previous = None
        for number, update in enumerate([*updates, updates[-1]]):
            # Two updates at one time, as a coarse clock would write them down.
            now = updates[0].slice.stamp + LATENCY * (1 + number // 2)
            for sent in scene_messages(update, EVERYTHING, WireSettings(), TYPES, {}, previous):
                writer.write(f'/{PREFIX}{sent.topic}', now, sent.message)
            previous = stamped_pose(update)
            pose = pose_message(TYPES, previous.stamp, 'fourd_world', previous.world_from_base)
            writer.write(
                f'/{PREFIX}path', now, path_message(TYPES, previous.stamp, 'fourd_world', [pose])
            )
            edge = Edge('fourd_world', 'base_link', previous.world_from_base, previous.stamp)
            writer.write('/tf', now, tf_message(TYPES, [edge]))
        writer.write('/diagnostics', now, diagnostics(now))
    return path


def diagnostics(stamp: int):
    entry = TYPES.message('diagnostic_msgs/msg/KeyValue')(key='scale.source', value='rig')
    status = TYPES.message('diagnostic_msgs/msg/DiagnosticStatus')(
        level=1, name='fourd_perception: scale', message='fine', hardware_id='', values=[entry]
    )
    header = TYPES.message('std_msgs/msg/Header')(stamp=time_of(TYPES, stamp), frame_id='')
    return TYPES.message('diagnostic_msgs/msg/DiagnosticArray')(header=header, status=[status])


def test_dense_outputs_are_those_of_the_engine(recording, updates, bag):
    with RecordedOutputs(bag, PREFIX) as outputs:
        assert outputs.cameras == tuple(sorted(recording.cameras))
        for update in updates:
            for name, camera in update.cameras.items():
                stamp = camera.frame.stamp
                np.testing.assert_array_equal(outputs.depth(name, stamp), camera.depth)
                np.testing.assert_array_equal(outputs.confidence(name, stamp), camera.confidence)
                model = outputs.depth_camera(name, stamp)
                np.testing.assert_array_equal(model.intrinsics, camera.output.intrinsics)
                assert (model.height, model.width) == camera.depth.shape
                cloud = outputs.cloud(f'{name}/points', stamp)
                assert cloud.frame_id == camera.input.frame_id
                np.testing.assert_array_equal(cloud.cloud.xyz[..., 2], camera.depth)
                np.testing.assert_array_equal(cloud.cloud.rgb, camera.colour)
                np.testing.assert_allclose(
                    outputs.pose(name, stamp), camera.world_from_camera, atol=1e-12
                )


def test_masks_and_flow_begin_with_the_second_slice(recording, updates, bag):
    with RecordedOutputs(bag, PREFIX) as outputs:
        for name in recording.cameras:
            first, *rest = recording.stamps(name)
            assert outputs.stamps(f'{name}/depth/image_rect') == (first, *rest)
            assert outputs.stamps(f'{name}/labels') == tuple(rest)
            assert outputs.stamps(f'{name}/flow') == (first, *rest[:-1])
            camera = updates[1].cameras[name]
            np.testing.assert_array_equal(outputs.labels(name, rest[0]), camera.label)
            mask = outputs.dynamic_mask(name, rest[0])
            np.testing.assert_array_equal(mask == 0, camera.input_label == 0)
            flow = outputs.flow(name, first)
            np.testing.assert_array_equal(flow.flow, camera.flow_forward.flow)
            assert (flow.older, flow.newer) == (first, rest[0])
            assert outputs.flow_color(name, first).shape == (*camera.depth.shape, 3)


def test_the_motion_of_the_rig_comes_back(updates, bag):
    with RecordedOutputs(bag, PREFIX) as outputs:
        stamps = outputs.stamps('odometry')
        assert stamps == tuple(update.slice.stamp for update in updates)
        last = outputs.odometry(stamps[-1])
        assert (last.frame_id, last.child_frame_id) == ('fourd_world', 'base_link')
        np.testing.assert_allclose(last.pose, updates[-1].world_from_base, atol=1e-12)
        np.testing.assert_allclose(last.covariance, updates[-1].covariance)
        # Recorded twice: the later one, after a jump, has no motion to tell.
        assert not last.twist.any()
        assert np.linalg.norm(outputs.odometry(stamps[1]).twist[:3]) > 0.05
        ((stamp, pose),) = outputs.path(stamps[0])
        assert stamp == stamps[0]
        np.testing.assert_allclose(pose, updates[0].world_from_base, atol=1e-12)
        edges = outputs.transforms()
        assert [edge.stamp for edge in edges] == [*stamps, stamps[-1]]
        assert {(edge.parent, edge.child) for edge in edges} == {('fourd_world', 'base_link')}
        assert outputs.transforms(static=True) == []


def test_fused_clouds_and_diagnostics_come_back(updates, bag):
    with RecordedOutputs(bag, PREFIX) as outputs:
        cloud = outputs.cloud('points_static', updates[-1].slice.stamp)
        assert cloud.frame_id == 'base_link' and cloud.cloud.xyz.shape[1:] == (3,)
        assert len(cloud.cloud.xyz) > 100
        ((_, (status,)),) = outputs.diagnostics()
        assert (status.level, status.message) == (1, 'fine')
        assert status.values == {'scale.source': 'rig'}


def test_an_independent_reader_finds_sizes_steps_stamps_and_frames_right(updates, bag):
    with (bag / 'bag.mcap').open('rb') as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        read = [(c.topic, s.name, m) for s, c, _, m in reader.iter_decoded_messages()]
    update = updates[1]
    for name, camera in update.cameras.items():
        rows, columns = camera.depth.shape
        of_camera = {
            topic.removeprefix(f'/{PREFIX}{name}/'): message
            for topic, _, message in read
            if topic.startswith(f'/{PREFIX}{name}/')
            and '/flow' not in topic
            and nanoseconds(message.header.stamp) == camera.frame.stamp
        }
        steps = {
            'depth/image_rect': ('32FC1', rows, columns, 4 * columns),
            'depth/confidence': ('32FC1', rows, columns, 4 * columns),
            'labels': ('mono8', rows, columns, columns),
            'dynamic_mask': ('mono8', camera.input.height, camera.input.width, camera.input.width),
        }
        for topic, layout in steps.items():
            image = of_camera[topic]
            assert (image.encoding, image.height, image.width, image.step) == layout
            assert image.header.frame_id == camera.input.frame_id
            assert len(image.data) == image.step * image.height
        for topic, model in (('depth', camera.output), ('dynamic_mask', camera.input)):
            info = of_camera[f'{topic}/camera_info']
            assert (info.height, info.width) == (model.height, model.width)
            matrix = np.reshape(info.k, (3, 3))
            np.testing.assert_array_equal(matrix, model.intrinsics)
            np.testing.assert_array_equal(np.reshape(info.p, (3, 4))[:, :3], matrix)
            assert not any(info.d) and list(info.r) == np.eye(3).ravel().tolist()
        cloud = of_camera['points']
        assert (cloud.height, cloud.width, cloud.point_step) == (rows, columns, 16)
        assert (cloud.row_step, cloud.is_dense) == (16 * columns, False)
        assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'rgb']
    edges = [t for topic, _, m in read if topic == '/tf' for t in m.transforms]
    assert {(t.header.frame_id, t.child_frame_id) for t in edges} == {('fourd_world', 'base_link')}
    assert nanoseconds(edges[1].header.stamp) == update.slice.stamp


def test_what_was_not_recorded_is_named(bag, updates):
    with RecordedOutputs(bag, PREFIX) as outputs:
        assert outputs.stamps('nowhere/depth/image_rect') == ()
        with pytest.raises(KeyError, match='points has no message with stamp 7'):
            outputs.cloud('points', 7)
    with pytest.raises(BagError, match='/other/.*points'):
        RecordedOutputs(bag, 'other')

"""Kubric MOVi, on a miniature in the layout of TFDS; the examples are encoded by protobuf."""

from __future__ import annotations

from pathlib import Path
import pickle
import struct
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.kubric import open_kubric
from fourd_perception.datasets.tf_records import floats, integers, read_example, record_offsets
from fourd_perception.geometry.clips import STATIC
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, MOVER, Seen

SIZE = 112, 112
FOCAL, SENSOR = 35.0, 32.0
WINDOW = ClipSpec(size=(96, 96), instants=3)
FILE = 'movi_e/256x256/1.0.0/movi_e-train.tfrecord-00000-of-00001'
# The distance at which the dome stands that MOVi-E has for a sky.
DOME = 60.0


def example_class() -> type[Message]:
    """tf.train.Example, as tensorflow/core/example/*.proto define it."""
    file = descriptor_pb2.FileDescriptorProto(name='example.proto', package='t', syntax='proto3')
    field = descriptor_pb2.FieldDescriptorProto
    lists = (('BytesList', field.TYPE_BYTES), ('FloatList', field.TYPE_FLOAT))
    for name, kind in (*lists, ('Int64List', field.TYPE_INT64)):
        message = file.message_type.add(name=name)
        message.field.add(name='value', number=1, type=kind, label=field.LABEL_REPEATED)
    feature = file.message_type.add(name='Feature')
    feature.oneof_decl.add(name='kind')
    for number, name in enumerate(('bytes_list', 'float_list', 'int64_list'), start=1):
        kind = '.t.' + ''.join(word.capitalize() for word in name.split('_'))
        feature.field.add(
            name=name, number=number, type=11, type_name=kind, label=1, oneof_index=0
        )
    features = file.message_type.add(name='Features')
    entry = features.nested_type.add(name='FeatureEntry')
    entry.options.map_entry = True
    entry.field.add(name='key', number=1, type=9, label=1)
    entry.field.add(name='value', number=2, type=11, type_name='.t.Feature', label=1)
    features.field.add(
        name='feature', number=1, type=11, type_name='.t.Features.FeatureEntry', label=3
    )
    example = file.message_type.add(name='Example')
    example.field.add(name='features', number=1, type=11, type_name='.t.Features', label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName('t.Example'))


def record(features: dict[str, np.ndarray | list[bytes]]) -> bytes:
    """One record; the checksums, which nobody checks here, are zero."""
    example = example_class()()
    for name, values in features.items():
        feature = example.features.feature[name]
        if isinstance(values, list):
            feature.bytes_list.value.extend(values)
        elif values.dtype.kind == 'f':
            feature.float_list.value.extend(values.ravel().tolist())
        else:
            feature.int64_list.value.extend(values.ravel().tolist())
    content = example.SerializeToString()
    return struct.pack('<QI', len(content), 0) + content + bytes(4)


def scene(miniature: Miniature) -> dict[str, np.ndarray | list[bytes]]:
    """A scene of MOVi-E, without what nobody reads."""
    instants = range(miniature.instants)
    poses = [miniature.pose(0, k) @ np.diag([1.0, -1.0, -1.0, 1.0]) for k in instants]
    quaternions = [Rotation.from_matrix(pose[:3, :3]).as_quat()[[3, 0, 1, 2]] for pose in poses]
    distances = np.stack([distance(miniature, k) for k in instants])
    # Rows first; the last frame knows no next one and the first no previous: they tell nonsense.
    forward = np.stack([flow(miniature, k, 1) for k in (*instants[:-1], 0)])[..., ::-1]
    # Motion from the previous frame to this one.
    backward = -np.stack([flow(miniature, k, -1) for k in (1, *instants[1:])])[..., ::-1]
    features: dict[str, np.ndarray | list[bytes]] = {
        'metadata/num_frames': np.array([miniature.instants]),
        'camera/focal_length': np.array([FOCAL]),
        'camera/sensor_width': np.array([SENSOR]),
        'camera/positions': np.stack([pose[:3, 3] for pose in poses]),
        'camera/quaternions': np.stack(quaternions),
        'video': [png(miniature.image(0, k)[..., ::-1]) for k in instants],
        'segmentations': [png(miniature.instances(0, k)) for k in instants],
    }
    for name, values in (
        ('depth', distances),
        ('forward_flow', forward),
        ('backward_flow', backward),
    ):
        low, high = values.min(), values.max()
        stored = np.round((values - low) / (high - low) * 65535).astype(np.uint16)
        features[f'metadata/{name}_range'] = np.array([low, high], float)
        features[name] = [png(frame) for frame in stored] if name == 'depth' else stored
    return features


def distance(miniature: Miniature, instant: int) -> np.ndarray:
    """How far from the camera the surfaces are; the dome where there is none."""
    depth, rays = miniature.depth(0, instant), np.linalg.norm(optical_rays(miniature), axis=-1)
    return np.where(np.isnan(depth), DOME, depth * rays)


def flow(miniature: Miniature, instant: int, step: int) -> np.ndarray:
    """Flow [h, w, 2] (u, v), of the dome too."""
    rays, pose = optical_rays(miniature), miniature.pose(0, instant)
    dome = DOME * rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    points = dome.reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
    there = miniature.pixels(points, 0, instant + step).reshape(*miniature.size, 2)
    y, x = np.mgrid[: miniature.size[0], : miniature.size[1]]
    known = miniature.flow(0, instant, step)
    return np.where(np.isnan(known), there - np.stack([x, y], axis=-1), known)


def optical_rays(miniature: Miniature) -> np.ndarray:
    """Directions [h, w, 3] through the pixels, 1 along z."""
    k, (height, width) = miniature.intrinsics, miniature.size
    y, x = np.mgrid[:height, :width]
    return np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], np.ones_like(x)], axis=-1)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode('.png', image)[1].tobytes()


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    focal, centre = FOCAL / SENSOR * SIZE[1], (SIZE[0] - 1) / 2
    return Miniature(
        SIZE, intrinsics=np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
    )


@pytest.fixture(scope='module')
def root(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('tfds')
    path = root / FILE
    path.parent.mkdir(parents=True)
    other = scene(miniature) | {'metadata/num_frames': np.array([2])}
    path.write_bytes(record(other) + record(scene(miniature)))
    return root


def test_kubric_shows_the_street(root: Path, miniature: Miniature) -> None:
    data = pickle.loads(pickle.dumps(open_kubric(root)))
    assert [r.instants for r in data.recordings] == [2, 3]
    clips = data.clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    # The dome is a surface like others, and stands still.
    dome = clips.instances == 0
    assert clips.depth.isfinite().all() and (clips.dynamic[dome] == STATIC).float().mean() > 0.98
    clips.depth[dome] = float('nan')
    seen.check_depth(clips)
    for known in (clips.flow_forward, clips.flow_backward):
        known[dome[:, :, :, None].expand_as(known)] = float('nan')
    seen.check_flow(clips)
    seen.check_dynamic(clips)
    assert set(clips.instances.unique().tolist()) == set(range(MOVER + 2))
    assert not clips.metric.any()
    np.testing.assert_allclose(clips.seconds[0, 0], np.arange(3) / 12)


def test_numbers_of_all_lengths(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 2 ** np.arange(1, 63))
    values = np.random.default_rng(1).normal(size=7).astype(np.float32)
    path = tmp_path / 'x.tfrecord'
    path.write_bytes(record({'a': numbers}) + record({'b': values, 'c': np.arange(5)}))
    first, second = record_offsets(path)
    np.testing.assert_array_equal(integers(read_example(path, first)['a']), numbers)
    np.testing.assert_array_equal(floats(read_example(path, second)['b']), values)
    np.testing.assert_array_equal(integers(read_example(path, second)['c']), np.arange(5))


def test_broken_files_are_named(root: Path, miniature: Miniature, tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    with pytest.raises(DataSetError, match=r'holds no movi_e-train.tfrecord\*'):
        open_kubric(tmp_path)
    path.write_bytes((root / FILE).read_bytes()[:-100])
    with pytest.raises(DataSetError, match=r'00000-of-00001 has \d+ bytes, but a record at byte'):
        open_kubric(tmp_path)
    path.write_bytes(record({'metadata/num_frames': np.array([3])}))
    with pytest.raises(DataSetError, match="00000-of-00001 holds an example without 'video'"):
        open_kubric(tmp_path).clip(0, WINDOW)
    path.write_bytes(struct.pack('<QI', 40, 0) + b'\x0a\xff\x01' + bytes(41))
    with pytest.raises(DataSetError, match='00000-of-00001 holds no example at byte 0'):
        open_kubric(tmp_path)

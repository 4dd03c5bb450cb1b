"""PointCloud2, byte by byte and through independent readers."""

import struct

from fourd_perception.bag.types import BagTypes
from fourd_perception.engine.clouds import Cloud
from fourd_perception.wire.clouds import cloud_message, cloud_of
import numpy as np
import pytest

TYPES = BagTypes()
NAN = float('nan')


def organised() -> Cloud:
    """Two rows of three points; the last one is invalid."""
    xyz = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    xyz[1, 2] = np.nan
    rgb = np.array([[[255, 16, 1], [0, 0, 0], [1, 2, 3]], [[9, 8, 7], [6, 5, 4], [3, 2, 1]]])
    return Cloud(xyz, rgb.astype(np.uint8))


def test_an_organised_cloud_is_byte_for_byte_the_hand_made_one():
    message = cloud_message(TYPES, 12, 'camera', organised())
    by_hand = b''
    for (x, y, z), (r, g, b) in zip(
        organised().xyz.reshape(-1, 3).tolist(),
        organised().rgb.reshape(-1, 3).tolist(),
        strict=True,
    ):
        by_hand += struct.pack('<fffI', x, y, z, r << 16 | g << 8 | b)
    # Every NaN is a NaN, whatever its bits.
    assert bytes(message.data)[:80] == by_hand[:80]
    assert np.isnan(np.frombuffer(message.data, np.float32)[20:23]).all()
    assert bytes(message.data)[92:] == by_hand[92:]
    assert (message.height, message.width) == (2, 3)
    assert (message.point_step, message.row_step) == (16, 48)
    assert not message.is_dense and not message.is_bigendian
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ('x', 0, 7, 1),
        ('y', 4, 7, 1),
        ('z', 8, 7, 1),
        ('rgb', 12, 7, 1),
    ]


def test_a_list_of_points_is_one_row_and_dense_when_all_are_valid():
    cloud = Cloud(organised().xyz.reshape(-1, 3)[:5], organised().rgb.reshape(-1, 3)[:5])
    message = cloud_message(TYPES, 12, 'base_link', cloud)
    assert (message.height, message.width, message.row_step, message.is_dense) == (1, 5, 80, True)
    holed = Cloud(organised().xyz.reshape(-1, 3), organised().rgb.reshape(-1, 3))
    assert not cloud_message(TYPES, 12, 'base_link', holed).is_dense
    assert not cloud_message(TYPES, 12, 'c', Cloud(cloud.xyz[None], cloud.rgb[None])).is_dense


def test_no_point_at_all_is_a_cloud_too():
    empty = Cloud(np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8))
    message = cloud_message(TYPES, 12, 'base_link', empty)
    assert (message.height, message.width, len(message.data)) == (1, 0, 0)
    assert cloud_of(message).xyz.shape == (0, 3)


def test_a_cloud_comes_back_in_its_shape():
    back = cloud_of(cloud_message(TYPES, 12, 'camera', organised()))
    np.testing.assert_array_equal(back.xyz, organised().xyz)
    np.testing.assert_array_equal(back.rgb, organised().rgb)


def test_a_cloud_of_another_layout_is_refused_with_both():
    message = cloud_message(TYPES, 12, 'camera', organised())
    message.fields[3].name = 'intensity'
    with pytest.raises(ValueError, match='intensity.*rgb'):
        cloud_of(message)


def test_sensor_msgs_py_reads_our_points():
    reader = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py comes with a ROS distribution'
    )
    from fourd_perception.ros.messages import RclpyTypes

    message = cloud_message(RclpyTypes(), 12, 'camera', organised())
    # Row by row: its own reshaping of organised clouds swaps width and height (#236).
    points = reader.read_points(message)
    assert points.shape == (6,)
    assert (points['x'][1], points['y'][1], points['z'][1]) == (3.0, 4.0, 5.0)
    assert points['rgb'][:1].view(np.uint32) == 255 << 16 | 16 << 8 | 1
    assert len(reader.read_points_list(message, ('x', 'y', 'z'), skip_nans=True)) == 5

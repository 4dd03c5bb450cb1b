"""sensor_msgs/PointCloud2 <-> points with colours."""

from __future__ import annotations

from typing import Any

from fourd_perception.engine.clouds import Cloud
from fourd_perception.wire.message_types import MessageTypes
from fourd_perception.wire.stamps import header_of
import numpy as np

FLOAT32 = 7
FIELDS = ('x', 'y', 'z', 'rgb')
# A point as it travels: x y z, then 0x00RRGGBB in the place of a float (blue is the lowest byte).
POINT = np.dtype([('xyz', '<f4', 3), ('b', 'u1'), ('g', 'u1'), ('r', 'u1'), ('zero', 'u1')])


def cloud_message(types: MessageTypes, stamp: int, frame_id: str, cloud: Cloud) -> Any:
    """PointCloud2 x y z rgb, 16 bytes a point, little-endian.

    A cloud [h, w, 3] stays organised (row-major, NaN where invalid, never dense); a cloud [N, 3]
    becomes one row, dense when all its points are finite.
    """
    organised = cloud.xyz.ndim == 3
    height, width = cloud.xyz.shape[:2] if organised else (1, cloud.xyz.shape[0])
    points = np.zeros(cloud.xyz.shape[:-1], POINT)
    points['xyz'] = cloud.xyz
    points['r'], points['g'], points['b'] = np.moveaxis(cloud.rgb, -1, 0)
    field = types.message('sensor_msgs/msg/PointField')
    return types.message('sensor_msgs/msg/PointCloud2')(
        header=header_of(types, stamp, frame_id),
        height=height,
        width=width,
        fields=[
            field(name=name, offset=4 * place, datatype=FLOAT32, count=1)
            for place, name in enumerate(FIELDS)
        ],
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * width,
        data=types.octets(points),
        is_dense=not organised and bool(np.isfinite(cloud.xyz).all()),
    )


def cloud_of(message: Any) -> Cloud:
    """Points of a PointCloud2 in this package's layout: [h, w, 3] when organised, else [N, 3].

    Raises ValueError for another layout, with both.
    """
    layout = [(f.name, f.offset, f.datatype, f.count) for f in message.fields]
    wanted = [(name, 4 * place, FLOAT32, 1) for place, name in enumerate(FIELDS)]
    packed = (
        message.row_step == message.width * POINT.itemsize == message.width * message.point_step
    )
    if layout != wanted or not packed or message.is_bigendian:
        raise ValueError(
            f'cloud of fields {layout}, point step {message.point_step}, row step '
            f'{message.row_step} for width {message.width}; this reader needs {wanted}, '
            f'little-endian, {POINT.itemsize} bytes a point, rows unpadded'
        )
    points = np.frombuffer(message.data, POINT)
    if message.height != 1:
        points = points.reshape(message.height, message.width)
    rgb = np.stack([points['r'], points['g'], points['b']], axis=-1)
    return Cloud(points['xyz'].copy(), rgb)

"""sensor_msgs/Image <-> arrays."""

from __future__ import annotations

from typing import Any

from fourd_perception.wire.message_types import MessageTypes
from fourd_perception.wire.stamps import header_of
import numpy as np

COLOUR_ENCODINGS = ('rgb8', 'bgr8', 'mono8')
# encoding: (type of one channel, channels)
LAYOUTS: dict[str, tuple[np.dtype, int]] = {
    'rgb8': (np.dtype(np.uint8), 3),
    'bgr8': (np.dtype(np.uint8), 3),
    'mono8': (np.dtype(np.uint8), 1),
    '16UC1': (np.dtype(np.uint16), 1),
    '32FC1': (np.dtype(np.float32), 1),
    '32FC2': (np.dtype(np.float32), 2),
}


class ImageError(ValueError):
    """An image message that cannot be read."""


def image_array(message: Any) -> np.ndarray:
    """Pixels of an Image, [H, W] or [H, W, C], in a contiguous array of its own.

    Honours `step` (rows may be padded) and `is_bigendian`. Encodings: see `LAYOUTS`.
    Raises ImageError, which names the value met and the limit.
    """
    if message.encoding not in LAYOUTS:
        raise ImageError(
            f'encoding {message.encoding!r} is not read here; publish one of {", ".join(LAYOUTS)}'
        )
    dtype, channels = LAYOUTS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    row = width * channels * dtype.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if height == 0 or width == 0:
        raise ImageError(f'image of {width}x{height} pixels is empty')
    if step < row:
        raise ImageError(
            f'step of {step} bytes is shorter than a row of {width} {message.encoding} pixels, '
            f'{row} bytes'
        )
    if data.size != step * height:
        raise ImageError(
            f'{data.size} bytes of data contradict {height} rows of {step} bytes; '
            'data must hold step * height bytes'
        )
    rows = np.ascontiguousarray(data.reshape(height, step)[:, :row])
    pixels = rows.view(dtype.newbyteorder('>' if message.is_bigendian else '<')).astype(dtype)
    return pixels if channels == 1 else pixels.reshape(height, width, channels)


def decode_image(message: Any) -> np.ndarray:
    """Colours of an Image, uint8 [H, W, 3] RGB, in a contiguous array of its own.

    Reads rgb8, bgr8 and mono8. Raises ImageError for any other encoding, by name.
    """
    if message.encoding not in COLOUR_ENCODINGS:
        raise ImageError(
            f'encoding {message.encoding!r} is not supported as a camera image; '
            f'publish one of {", ".join(COLOUR_ENCODINGS)}'
        )
    pixels = image_array(message)
    if message.encoding == 'mono8':
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1]) if message.encoding == 'bgr8' else pixels


def image_message(
    types: MessageTypes, stamp: int, frame_id: str, array: np.ndarray, encoding: str
) -> Any:
    """sensor_msgs/Image of an array [H, W] or [H, W, C], little-endian, rows unpadded.

    Raises ImageError when the array's type or shape is not that of the encoding.
    """
    dtype, channels = LAYOUTS[encoding]
    shape = array.shape[:2] if channels == 1 else (*array.shape[:2], channels)
    if array.dtype != dtype or array.shape != shape:
        raise ImageError(
            f'an array of {array.dtype} {array.shape} cannot be sent as {encoding}; '
            f'it needs {dtype} {"[H, W]" if channels == 1 else f"[H, W, {channels}]"}'
        )
    height, width = array.shape[:2]
    return types.message('sensor_msgs/msg/Image')(
        header=header_of(types, stamp, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels * dtype.itemsize,
        data=types.octets(array),
    )

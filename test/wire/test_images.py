"""Images: hand-made messages to arrays and back, byte by byte."""

from array import array

from fourd_perception.bag.types import BagTypes
from fourd_perception.wire.images import decode_image, image_array, image_message, ImageError
import numpy as np
import pytest

TYPES = BagTypes()


def hand_made(encoding: str, width: int, height: int, step: int, data: bytes, big=0):
    """An Image as a camera driver would fill it."""
    header = TYPES.message('std_msgs/msg/Header')(
        stamp=TYPES.message('builtin_interfaces/msg/Time')(sec=1, nanosec=2), frame_id='camera'
    )
    return TYPES.message('sensor_msgs/msg/Image')(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big,
        step=step,
        data=array('B', data),
    )


def test_the_three_encodings_give_the_same_red_pixel():
    for encoding, data in {'rgb8': b'\xff\x10\x00', 'bgr8': b'\x00\x10\xff'}.items():
        assert decode_image(hand_made(encoding, 1, 1, 3, data)).tolist() == [[[255, 16, 0]]]
    assert decode_image(hand_made('mono8', 1, 1, 1, b'\x07')).tolist() == [[[7, 7, 7]]]


def test_padding_at_the_end_of_rows_is_no_image():
    data = b'\x01\x02\x03\xee\xee\x04\x05\x06\xee\xee'
    assert decode_image(hand_made('rgb8', 1, 2, 5, data)).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'mono8'])
def test_a_decoded_image_is_contiguous_writable_and_its_own(encoding):
    channels = 1 if encoding == 'mono8' else 3
    message = hand_made(encoding, 4, 2, 4 * channels, bytes(8 * channels))
    image = decode_image(message)
    assert image.flags.c_contiguous and image.flags.writeable and image.dtype == np.uint8
    image[:] = 9
    assert not any(message.data)


def test_big_endian_depth_is_read_as_what_it_says():
    data = np.array([[1.5, np.nan]], '>f4').tobytes()
    depth = image_array(hand_made('32FC1', 2, 1, 8, data, big=1))
    assert depth.dtype == np.float32 and depth[0, 0] == 1.5 and np.isnan(depth[0, 1])


@pytest.mark.parametrize(
    ('message', 'words'),
    [
        (hand_made('bayer_rggb8', 2, 2, 2, bytes(4)), ['bayer_rggb8', 'rgb8', 'mono8']),
        (hand_made('32FC1', 2, 1, 8, bytes(8)), ['32FC1', 'rgb8']),
        (hand_made('rgb8', 2, 2, 5, bytes(10)), ['step of 5', '6 bytes']),
        (hand_made('rgb8', 2, 2, 6, bytes(11)), ['11 bytes', '2 rows of 6']),
        (hand_made('rgb8', 0, 2, 0, b''), ['0x2', 'empty']),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_limit(message, words):
    with pytest.raises(ImageError) as caught:
        decode_image(message)
    assert all(word in str(caught.value) for word in words)


def test_an_array_becomes_the_hand_made_message():
    flow = np.array([[[1.0, -2.0], [np.nan, 0.5]]], np.float32)
    message = image_message(TYPES, 1_000_000_002, 'camera', flow, '32FC2')
    wanted = hand_made('32FC2', 2, 1, 16, flow.astype('<f4').tobytes())
    assert bytes(message.data) == bytes(wanted.data)
    assert (message.height, message.width, message.step) == (1, 2, 16)
    assert (message.header, message.encoding, message.is_bigendian) == (
        wanted.header,
        '32FC2',
        0,
    )


def test_views_that_are_not_contiguous_are_sent_row_by_row():
    colours = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    message = image_message(TYPES, 0, 'c', colours[:, ::2], 'rgb8')
    assert message.step == 6
    assert bytes(message.data) == bytes([0, 1, 2, 6, 7, 8, 12, 13, 14, 18, 19, 20])


def test_an_array_that_is_not_of_the_encoding_is_not_sent():
    for wrong in (np.zeros((2, 2)), np.zeros((2, 2, 3), np.float32)):
        with pytest.raises(ImageError, match='32FC1'):
            image_message(TYPES, 0, 'c', wrong, '32FC1')

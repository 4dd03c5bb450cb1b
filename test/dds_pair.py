"""Two processes on one DDS domain: one publishes, the other counts. Run by the tests beside.

    python dds_pair.py read|write image|transform

`read` prints one line of JSON: messages received, the newest stamp in nanoseconds, and the type
hash that the publisher announces.
"""

import json
import sys
import time

from geometry_msgs.msg import TransformStamped
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

MESSAGES = 40
IMAGE_BYTES = 3_000_000
SECOND = 1_000_000_000
FIRST_STAMP = 1_700_000_000_123_456_789
QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def main(role: str, kind: str) -> None:
    """Write `MESSAGES` messages at 20 Hz once a reader is there, or read until they are in."""
    message_type = {'image': Image, 'transform': TFMessage}[kind]
    rclpy.init()
    node = rclpy.create_node(role)
    if role == 'write':
        write(node, node.create_publisher(message_type, kind, QOS), kind)
    else:
        read(node, message_type, kind)
    rclpy.shutdown()


def write(node, publisher, kind):
    """Publish; the stamps are a millisecond apart."""
    deadline = time.monotonic() + 15.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    image = Image()
    image.data.frombytes(bytes(IMAGE_BYTES))
    for k in range(MESSAGES):
        stamp = FIRST_STAMP + k * 1_000_000
        if kind == 'image':
            message, header = image, image.header
        else:
            message = TFMessage(transforms=[TransformStamped(child_frame_id='camera')])
            header = message.transforms[0].header
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, SECOND)
        publisher.publish(message)
        time.sleep(0.05)
    time.sleep(0.5)


def read(node, message_type, kind):
    """Count until all messages are in or nothing has come for 3 s."""
    received = []
    node.create_subscription(message_type, kind, received.append, QOS)
    quiet_since = time.monotonic() + 20.0
    while len(received) < MESSAGES and time.monotonic() < quiet_since + 3.0:
        before = len(received)
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(received) > before:
            quiet_since = time.monotonic()
    newest = received[-1] if received else message_type()
    header = newest.header if kind == 'image' else newest.transforms[0].header
    hashes = [info.topic_type_hash for info in node.get_publishers_info_by_topic(kind)]
    print(
        json.dumps(
            {
                'received': len(received),
                'stamp': header.stamp.sec * SECOND + header.stamp.nanosec,
                'type_hash': [f'RIHS{h.version:02}_{bytes(h.value).hex()}' for h in hashes],
            }
        )
    )


if __name__ == '__main__':
    main(*sys.argv[1:])

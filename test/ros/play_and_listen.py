"""Play a recording and say when five depth images of its first camera have come back."""

from pathlib import Path
import sys
import time

from fourd_perception.bag.reader import BagReader
from fourd_perception.ros.player import Player
import rclpy
from sensor_msgs.msg import Image


def main() -> None:
    rclpy.init()
    node = rclpy.create_node('drive')
    depth = node.create_subscription(Image, '/front_left/depth/image_rect', print, 10, raw=True)
    names = ('front_left', 'left')
    topics = [f'/{name}/{kind}' for name in names for kind in ('image_rect', 'camera_info')]
    heard = 0
    with BagReader(Path(sys.argv[1])) as bag:
        player = Player(node, bag, [*topics, '/tf_static'])
        player.announce()
        while player.unmatched():
            player.hold()
            time.sleep(0.05)
        player.start()
        while True:
            time.sleep(min(player.step(), 0.02))
            while depth.handle.take_message(Image, True):
                heard += 1
                if heard == 5:
                    print('heard 5', flush=True)


main()

"""What comes out for what goes in: stamps, frames, and only what somebody asked for."""

from sensor_msgs.msg import CameraInfo, Image
from node_bench import wait_until


def test_every_image_is_answered_with_its_own_stamp_and_frame(bench, cameras, start_node):
    start_node()
    depth = {name: bench.listen(Image, f'{name}/depth/image_rect') for name in cameras.images}
    cameras.connect()
    wait_until(lambda: bench.values('outputs').get('wanted') == 'depth', 'depth wanted')
    cameras.play(range(6), depth['right'])
    for name, heard in depth.items():
        wait_until(lambda h=heard: len(h) == 6, f'six depth images of {name}')
        assert [message.header for message in heard] == [
            message.header for message in cameras.images[name][:6]
        ]
        assert {message.encoding for message in heard} == {'32FC1'}

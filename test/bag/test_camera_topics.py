"""Cameras are found by their topics, and nothing else is taken for one."""

from fourd_perception.bag.camera_topics import find_cameras
from fourd_perception.bag.qos import TopicQos
from fourd_perception.bag.reader import BagError, TopicInfo
import pytest

IMAGE, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
USUAL = ('{camera}/image_rect', '{camera}/camera_info')


def topics(**types: str) -> dict[str, TopicInfo]:
    return {name: TopicInfo(kind, TopicQos(), 1) for name, kind in types.items()}


def test_a_camera_has_images_and_calibration():
    found = topics(
        **{
            '/right/image_rect': IMAGE,
            '/right/camera_info': INFO,
            '/rig/left/image_rect': IMAGE,
            '/rig/left/camera_info': INFO,
            '/uncalibrated/image_rect': IMAGE,
            '/odd/image_rect': 'std_msgs/msg/String',
            '/odd/camera_info': INFO,
        }
    )
    assert find_cameras(found, *USUAL) == ('rig/left', 'right')


def test_truth_and_outputs_in_the_recording_are_no_cameras():
    names = ('ground_truth/front', 'front/depth', 'front')
    found = topics(
        **{f'/{n}/image_rect': IMAGE for n in names}, **{f'/{n}/camera_info': INFO for n in names}
    )
    assert find_cameras(found, *USUAL) == ('front',)


def test_names_follow_the_parameters():
    found = topics(**{'/drivers/a/rgb': IMAGE, '/drivers/a/info': INFO})
    assert find_cameras(found, 'drivers/{camera}/rgb', '/drivers/{camera}/info') == ('a',)
    with pytest.raises(BagError, match='/drivers/a/rgb'):
        find_cameras(found, *USUAL)

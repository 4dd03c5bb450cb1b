"""Parameters become one checked value; what is wrong is named with the limit."""

from pathlib import Path
import re
from types import SimpleNamespace

from fourd_perception.installation import share_path
from fourd_perception.ros.dds_profile import (
    PROFILE_VARIABLES,
    shared_memory_shortage,
    shm_environment,
)
from fourd_perception.ros.settings import knobs, Settings
import pytest
import yaml


@pytest.mark.parametrize(
    ('values', 'word'),
    [
        ({'cameras': []}, 'set the parameter `cameras`'),
        ({'cameras': ['a', 'a']}, 'must differ'),
        ({'cameras': 'front'}, 'a list of strings is needed'),
        ({'image_topic': 'image'}, '{camera}'),
        ({'min_cameras': 3}, 'min_cameras 3 is more than the 2 cameras'),
        ({'window.length': 1}, 'window.length 1 lies outside 2 .. 64'),
        ({'window.length': 4.5}, 'window.length 4.5 is not of type int'),
        ({'sync_slop': float('nan')}, 'sync_slop nan lies outside'),
        ({'tf.mode': 'map'}, "tf.mode 'map' is not one of auto, cameras, base, odom, none"),
        ({'output.size': '640'}, '640'),
        ({'depth_encoding': 'mono16'}, 'depth_encoding'),
        ({'tf.invert': 1}, 'tf.invert 1 is not of type bool'),
    ],
)
def test_what_cannot_work_is_refused_by_name(values, word):
    with pytest.raises(ValueError, match=re.escape(word)):
        Settings.from_values({'cameras': ['a', 'b']} | values)


def test_whole_numbers_and_empty_lists_of_bytes_are_what_yaml_means():
    settings = Settings.from_values({'cameras': ['a'], 'sync_timeout': 1})
    assert settings.sync_timeout == 1.0
    assert isinstance(settings.sync_timeout, float)
    with pytest.raises(ValueError, match='no cameras'):
        Settings.from_values({'cameras': b''})


def test_topics_and_prefix_follow_the_camera():
    settings = Settings.from_values({'cameras': ['rig/front'], 'output_prefix': 'fourd'})
    assert settings.image_topic_of('rig/front') == 'rig/front/image_rect'
    assert settings.camera_info_topic_of('rig/front') == 'rig/front/camera_info'
    assert settings.prefix == 'fourd/'


def test_the_shipped_parameter_file_names_parameters_that_exist():
    file = yaml.safe_load(Path(share_path('config/perception.yaml')).read_text())
    shown = file['/**']['ros__parameters']
    assert set(shown) <= {knob.name for _, knob in knobs()}
    Settings.from_values(shown)


def test_the_profile_is_taken_unless_one_is_set_or_another_middleware_runs():
    (profile,) = shm_environment({}).values()
    assert Path(profile).name == 'fastdds_shm.xml'
    assert shm_environment({PROFILE_VARIABLES[0]: 'mine.xml'}) == {}
    assert shm_environment({PROFILE_VARIABLES[1]: 'mine.xml'}) == {}
    assert shm_environment({'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}) == {}


def test_shared_memory_that_is_too_small_is_told_of(tmp_path, monkeypatch):
    assert shared_memory_shortage(tmp_path / 'absent') is None
    monkeypatch.setattr('shutil.disk_usage', lambda path: SimpleNamespace(free=3 << 20))
    assert '3 MiB free' in shared_memory_shortage(tmp_path)

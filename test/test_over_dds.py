"""What the set-up promises of DDS, between two processes: tf2_msgs and the Fast DDS profile."""

import json
import os
from pathlib import Path
import subprocess
import sys

from fourd_perception.installation import share_path
import pytest
from rosbags.typesys import get_typestore, Stores

pytest.importorskip('rclpy')
PAIR = Path(__file__).with_name('dds_pair.py')
LAST_STAMP = 1_700_000_000_123_456_789 + 39 * 1_000_000


def exchange(kind: str, domain: int, profile: Path | None) -> dict:
    """What the reader of `dds_pair.py` reports."""
    environment = {k: v for k, v in os.environ.items() if 'DEFAULT_PROFILES_FILE' not in k}
    environment |= {
        'ROS_DOMAIN_ID': str(domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    if profile:
        # Fast DDS 3 knows the first name, Fast DDS 2 the second.
        environment['FASTDDS_DEFAULT_PROFILES_FILE'] = str(profile)
        environment['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(profile)
    roles = [
        subprocess.Popen(
            [sys.executable, str(PAIR), role, kind],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for role in ('read', 'write')
    ]
    report = roles[0].communicate(timeout=60)[0]
    assert [role.wait(60) for role in roles] == [0, 0]
    return json.loads(report)


def test_transforms_travel_under_the_type_hash_of_the_distributions():
    report = exchange('transform', 10, None)
    assert report['received'] == 40
    assert report['stamp'] == LAST_STAMP
    real = get_typestore(Stores.ROS2_JAZZY).hash_rihs01('tf2_msgs/msg/TFMessage')
    assert report['type_hash'] == [real]


def test_images_of_three_megabytes_arrive_best_effort_with_the_shared_memory_profile():
    report = exchange('image', 11, share_path('config/fastdds_shm.xml'))
    assert report['received'] == 40
    assert report['stamp'] == LAST_STAMP

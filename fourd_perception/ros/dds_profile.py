"""The shared-memory profile of Fast DDS, switched on through the environment.

Images above half a megabyte do not fit the default shared-memory segment and get lost, silently,
where a best-effort reader is involved; `config/fastdds_shm.xml` enlarges the segment. The profile
is read when a process makes its first DDS participant, so the variable must be set before.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
import shutil

from fourd_perception.installation import share_path

# Fast DDS 3, which came with Kilted (rclpy 9), reads both and warns of the second; before, Fast
# DDS knows the second only.
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
SHARED_MEMORY = Path('/dev/shm')
SEGMENT_BYTES = 64 << 20


def profile_in_use(environment: Mapping[str, str]) -> str | None:
    """The Fast DDS profile that a process with this environment loads; None without one."""
    return next((environment[v] for v in PROFILE_VARIABLES if environment.get(v)), None)


def shm_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to an environment so that Fast DDS takes the shared-memory profile.

    Empty when a profile is named already, or when another middleware runs.
    """
    other = 'fastrtps' not in environment.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    if other or profile_in_use(environment):
        return {}
    return profile_environment(str(share_path('config/fastdds_shm.xml')))


def profile_environment(profile: str) -> dict[str, str]:
    """The variable that makes Fast DDS of the installed distribution load a profile."""
    new = int(version('rclpy').partition('.')[0]) >= 9
    return {PROFILE_VARIABLES[0 if new else 1]: profile}


def shared_memory_shortage(directory: Path = SHARED_MEMORY) -> str | None:
    """Why `/dev/shm` is too small for one segment of the profile, in plain words; or None."""
    if not directory.is_dir():
        return None
    free = shutil.disk_usage(directory).free
    if free >= SEGMENT_BYTES:
        return None
    return (
        f'{directory} has {free >> 20} MiB free, one shared-memory segment needs '
        f'{SEGMENT_BYTES >> 20}; enlarge it (docker run --shm-size=1g) or clear what killed '
        'processes left (fastdds shm clean)'
    )

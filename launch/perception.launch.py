"""One perception node: `ros2 launch fourd_perception perception.launch.py cameras:=front,left`."""

import os

from fourd_perception.installation import share_path
from fourd_perception.ros.dds_profile import profile_environment, shm_environment
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

ARGUMENTS = {
    'params_file': (
        str(share_path('config/perception.yaml')),
        'Parameter file of the node. The arguments below win over it where they are given.',
    ),
    'cameras': (
        '',
        'Names of the cameras, separated by commas, such as front,left,right. Each is read from '
        '<camera>/image_rect and <camera>/camera_info; see image_topic in the parameter file.',
    ),
    'weights': (
        '',
        'Weights of the network: fourd-small, which ships with the package, untrained:<seed>, '
        'truth:<synthetic recording>, a file, or a name of `fourd-perception weights list`.',
    ),
    'output_prefix': (
        '',
        'Put before every output topic, such as fourd/, where another node publishes those.',
    ),
    'use_sim_time': ('', 'true: time comes from /clock, for bags played with --clock.'),
    'namespace': ('', 'Namespace of the node and of its topics.'),
    'fastdds_profile': (
        'auto',
        'Profile of Fast DDS. auto: config/fastdds_shm.xml of this package (a 64 MiB '
        'shared-memory segment, without which large images get lost), unless a profile is set or '
        'another RMW runs; none: leave as it is; else the path of an XML file. Camera drivers '
        'need the same profile.',
    ),
    'log_level': ('info', 'debug, info, warn, error or fatal.'),
}


def generate_launch_description() -> LaunchDescription:
    """The arguments with their defaults, and the node that they describe."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=perception)])


def perception(context: LaunchContext) -> list:
    """The environment and the node, for the arguments as they were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    node = Node(
        package='fourd_perception',
        executable='perception_node',
        namespace=given['namespace'],
        parameters=[given['params_file'], overrides(given)],
        ros_arguments=['--log-level', given['log_level']],
        output='screen',
    )
    environment = dds_environment(given['fastdds_profile'])
    return [SetEnvironmentVariable(*item) for item in environment.items()] + [node]


def overrides(given: dict[str, str]) -> dict:
    """Parameters that win over the parameter file: only what was given."""
    parameters: dict = {name: given[name] for name in ('weights', 'output_prefix') if given[name]}
    if given['cameras']:
        names = given['cameras'].strip('[]').split(',')
        parameters['cameras'] = [name.strip(' \'"') for name in names]
    if given['use_sim_time']:
        parameters['use_sim_time'] = given['use_sim_time'].lower() == 'true'
    return parameters


def dds_environment(profile: str) -> dict[str, str]:
    """Variables that make Fast DDS take the profile."""
    if profile == 'auto':
        return shm_environment(os.environ)
    if profile == 'none':
        return {}
    return profile_environment(os.path.abspath(profile))

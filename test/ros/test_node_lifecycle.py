"""States, transitions and parameters of the node, and what it says when it cannot start."""

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import Path
from node_bench import NODE, wait_until
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

ERROR = b'\x02'
# What every node has, whatever its state.
ALWAYS = {'/rosout', '/parameter_events', '/diagnostics', f'{NODE}/transition_event'}


def published(bench):
    """Topics that the node under test publishes."""
    try:
        topics = bench.node.get_publisher_names_and_types_by_node('fourd_perception', '/')
    except RuntimeError:  # not discovered yet
        return set()
    return {name for name, _ in topics}


def set_parameter(bench, name, value):
    """Result of setting one parameter of the node under test."""
    kinds = {
        float: (ParameterType.PARAMETER_DOUBLE, 'double_value'),
        int: (ParameterType.PARAMETER_INTEGER, 'integer_value'),
        str: (ParameterType.PARAMETER_STRING, 'string_value'),
        list: (ParameterType.PARAMETER_STRING_ARRAY, 'string_array_value'),
    }
    kind, field = kinds[type(value)]
    message = Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))
    request = SetParameters.Request(parameters=[message])
    return bench.call(SetParameters, 'set_parameters', request).results[0]


def state_of(bench):
    """Id of the lifecycle state."""
    return bench.call(GetState, 'get_state', GetState.Request()).current_state.id


def test_three_rounds_leave_no_publisher_behind(bench, cameras, start_node):
    start_node(wait_for='', autostart=False)
    depth = bench.listen(Image, 'front/depth/image_rect')
    wait_until(lambda: published(bench) >= ALWAYS, 'the node')
    for each in range(3):
        assert bench.transition('configure')
        wait_until(lambda: '/front/depth/image_rect' in published(bench), 'the publishers')
        assert bench.transition('activate')
        cameras.connect()
        before = len(depth)
        cameras.play([each], depth)
        assert bench.transition('deactivate')
        cameras.send(each)  # nobody listens any more
        assert bench.transition('cleanup')
        wait_until(lambda: published(bench) == ALWAYS, f'only {ALWAYS} in round {each}')
        assert len(depth) == before + 1
    assert state_of(bench) == State.PRIMARY_STATE_UNCONFIGURED


def test_every_activation_begins_anew(bench, cameras, start_node):
    """Also where time went back meanwhile: no path and no stamp of before stands in the way."""
    start_node(tf__mode='base')
    path, tf = bench.listen(Path, 'path'), bench.listen(TFMessage, '/tf')
    cameras.connect()
    wait_until(lambda: bench.values('outputs').get('wanted') == 'path, tf', 'path and tf wanted')
    cameras.play(range(3), path)
    assert bench.transition('deactivate')
    inputs = [
        f'/{name}/{kind}' for name in cameras.images for kind in ('image_rect', 'camera_info')
    ]
    wait_until(lambda: not any(map(bench.node.count_subscribers, inputs)), 'nobody listening')
    assert bench.transition('activate')
    cameras.connect()
    cameras.play(range(3), path)
    assert [len(message.poses) for message in path] == [1, 2, 3, 1, 2, 3]
    again = [message.header.stamp for message in cameras.images['front'][:3]]
    wait_until(
        lambda: [t.header.stamp for message in tf for t in message.transforms][-3:] == again,
        'the transforms of the second round',
    )


def test_shut_down_for_good_it_still_tells_of_itself(bench, start_node):
    start_node()
    assert bench.transition('shutdown')
    bench.forget_status()
    wait_until(lambda: bench.status('outputs'), 'diagnostics')
    assert bench.values('outputs')['lifecycle state'] == 'finalized'
    wait_until(lambda: published(bench) == ALWAYS, f'only {ALWAYS}')


def test_a_failed_autostart_says_why_and_can_be_mended(bench, start_node):
    node = start_node(wait_for='configure failed', weights='vggt-9000')
    wait_until(lambda: bench.status('outputs'), 'diagnostics')
    status = bench.status('outputs')
    assert status.level == ERROR
    assert "weights 'vggt-9000': give fourd-small, which ships" in status.message
    assert state_of(bench) == State.PRIMARY_STATE_UNCONFIGURED
    assert published(bench) == ALWAYS
    assert set_parameter(bench, 'weights', 'untrained:0').successful
    assert bench.transition('configure')
    assert node.returncode is None
    assert 'UNTRAINED' in node.log


def test_a_value_out_of_range_in_a_parameter_file_is_an_error_not_a_crash(bench, start_node):
    node = start_node(wait_for='configure failed', window__length=99)
    assert 'window.length' in node.log
    assert '99' in node.log
    assert set_parameter(bench, 'window.length', 3).successful
    assert bench.transition('configure')


def test_no_cameras_is_an_error_that_names_the_parameter(bench, start_node):
    start_node(wait_for='set the parameter `cameras`', cameras=[])


def test_structure_is_fixed_while_configured_and_thresholds_are_not(bench, start_node):
    start_node()
    refused = set_parameter(bench, 'cameras', ['front'])
    assert not refused.successful
    assert 'cleanup first' in refused.reason
    refused = set_parameter(bench, 'dynamic_value', 0)
    assert not refused.successful
    assert 'dynamic_value' in refused.reason
    assert set_parameter(bench, 'dynamic_value', 1).successful
    assert set_parameter(bench, 'sync_slop', 0.01).successful
    assert set_parameter(bench, 'max_rate', 1).successful, 'an integer is a fine number of Hz'
    assert bench.transition('deactivate')
    assert bench.transition('cleanup')
    assert set_parameter(bench, 'cameras', ['front']).successful


def test_parameters_describe_themselves(bench, start_node):
    start_node(wait_for='', autostart=False)
    request = DescribeParameters.Request(names=['sync_slop', 'tf.mode', 'window.length'])
    slop, mode, length = bench.call(DescribeParameters, 'describe_parameters', request).descriptors
    assert slop.description.startswith('[s]')
    assert slop.floating_point_range[0].to_value == 1.0
    assert 'odom' in mode.additional_constraints
    assert length.integer_range[0].from_value == 2
    assert 'unconfigured' in length.additional_constraints


def test_an_output_that_another_node_publishes_is_an_error_that_names_it(bench, start_node):
    bench.node.create_publisher(Image, 'front/depth/image_rect', 10)
    node = start_node(wait_for='configure failed')
    assert '/front/depth/image_rect is already published by /bench' in node.log
    assert 'output_prefix' in node.log
    assert published(bench) == ALWAYS
    assert set_parameter(bench, 'output_prefix', 'fourd').successful
    assert bench.transition('configure')
    wait_until(lambda: '/fourd/front/depth/image_rect' in published(bench), 'prefixed outputs')

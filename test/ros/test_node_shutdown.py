"""SIGINT and SIGTERM: code 0 within two seconds, whatever the node is doing."""

import signal
import time

from node_bench import wait_until
import pytest
from sensor_msgs.msg import Image

LIMIT = 2.0


def seconds_to_leave(node, number):
    """Send the signal; seconds until the process has ended with code 0."""
    started = time.monotonic()
    assert node.stop(number) == 0, node.log
    took = time.monotonic() - started
    print(took)
    return took


def infers(bench, cameras):
    """Send an image; whether the node is at work on one."""
    cameras.send(0)
    time.sleep(0.2)
    return bench.values('inference').get('waiting for') == ''


def test_ten_signals_in_the_middle_of_inference(bench, cameras, start_node):
    depth = bench.listen(Image, 'front/depth/image_rect')
    for each in range(10):
        # A network of a megapixel: one inference takes many seconds here.
        node = start_node(pixel_budget=1_000_000)
        bench.forget_status()
        wait_until(lambda: infers(bench, cameras), 'inference', 20.0)
        number = signal.SIGTERM if each % 3 == 2 else signal.SIGINT
        assert seconds_to_leave(node, number) < LIMIT
    assert not depth, 'inference ended before the signal came'


def test_a_signal_while_weights_are_loaded(start_node):
    # A warm-up of a megapixel in many views takes many seconds.
    node = start_node(
        wait_for='', weights='untrained:0', pixel_budget=1_000_000, window__length=16
    )
    time.sleep(3.0)
    assert 'inactive' not in node.log
    assert seconds_to_leave(node, signal.SIGINT) < LIMIT


@pytest.mark.parametrize('autostart', [True, False])
def test_a_signal_while_nothing_happens(start_node, bench, autostart):
    node = start_node(wait_for='', autostart=autostart)
    wait_until(lambda: bench.status('outputs'), 'diagnostics')
    assert seconds_to_leave(node, signal.SIGINT) < LIMIT

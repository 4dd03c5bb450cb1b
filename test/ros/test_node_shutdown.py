"""SIGINT and SIGTERM: code 0 within two seconds, whatever the node is doing."""

from concurrent.futures import ThreadPoolExecutor
import itertools
import signal
import time

from fourd_perception.ros.process import NodeProcess
from node_bench import Bench, Cameras, wait_until
import pytest
from sensor_msgs.msg import Image
from shared_memory import held_by, held_by_anyone

LIMIT = 2.0
LANES = (48, 49)  # domains of their own, beside those that the fixtures hand out


def seconds_to_leave(node, number):
    """Send the signal; seconds until the process has ended with code 0."""
    started = time.monotonic()
    assert node.stop(number) == 0, node.log
    return time.monotonic() - started


def stop_while_inferring(bench, cameras, params, number):
    """One node from its start to a signal in the middle of its first inference."""
    # Images of a megapixel take seconds to infer, and the next ones wait in the slot by then: the
    # thread is at work when the signal comes, however fast the machine is.
    with NodeProcess(params | {'pixel_budget': 1_000_000}, bench.domain_id) as node:
        node.wait_for_log('the node is active')
        bench.forget_status()
        instants = itertools.cycle(range(cameras.count))

        def infers():
            cameras.send(next(instants))
            time.sleep(0.2)
            return bench.values('inference').get('waiting for') == ''

        wait_until(infers, 'inference', 30.0)
        cameras.send(next(instants))
        segments = held_by(node.pid)
        assert segments, 'the shared-memory profile is not in use'
        assert seconds_to_leave(node, number) < LIMIT
        # Ports are numbered anew when free: what another process holds by now was not left behind.
        wait_until(
            lambda: not {each for each in segments if each.exists()} - held_by_anyone(),
            'the end of its shared-memory files',
            2.0,
        )


@pytest.mark.timeout(300)
def test_a_dozen_signals_in_the_middle_of_inference(recording, images, params):
    def six_rounds(domain_id):
        bench = Bench(domain_id)
        try:
            cameras = Cameras(bench, recording, images)
            bench.listen(Image, 'front/depth/image_rect')
            for number in (*[signal.SIGINT] * 5, signal.SIGTERM):
                stop_while_inferring(bench, cameras, params, number)
        finally:
            bench.close()

    with ThreadPoolExecutor() as pool:  # most of a round is waiting
        list(pool.map(six_rounds, LANES))


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

"""The real node as its own process, over real DDS, on a domain that no other test uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
import itertools
import os
from pathlib import Path
import sys
from typing import Any

from fourd_perception.ros.dds_profile import shm_environment
import pytest

# Before the first participant of this process: Fast DDS reads its profile once.
os.environ.update(shm_environment(os.environ), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
sys.path.insert(0, str(Path(__file__).parent))

from fourd_perception.ros.process import NodeProcess
from fourd_perception.synthetic.recording import make_recording, SyntheticRecording
from node_bench import Bench, Cameras, render

DOMAINS = itertools.cycle(range(30, 50))


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A domain of its own."""
    bench = Bench(next(DOMAINS))
    yield bench
    bench.close()


@pytest.fixture(scope='session')
def recording() -> SyntheticRecording:
    """Three cameras of three sizes, 1.2 s at 10 Hz."""
    return make_recording('room', cameras=3, seconds=1.2, rate=10.0)


@pytest.fixture(scope='session')
def truth(recording: SyntheticRecording, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The `weights` that answer the truth of the recording."""
    directory: Path = tmp_path_factory.mktemp('recording')
    recording.save(directory)
    return f'truth:{directory}'


@pytest.fixture(scope='session')
def images(recording: SyntheticRecording) -> dict[str, list[Any]]:
    """The recording's images as messages."""
    return render(recording)


@pytest.fixture
def cameras(bench: Bench, recording: SyntheticRecording, images: dict[str, list[Any]]) -> Cameras:
    """The recording's cameras, calibrated and connected to base_link."""
    return Cameras(bench, recording, images)


@pytest.fixture
def start_node(bench: Bench, recording: SyntheticRecording, truth: str) -> Iterator[Callable]:
    """Start a node with the truth of the recording; parameters given win."""
    with ExitStack() as stack:

        def start(wait_for: str = 'the node is active', **params: Any) -> NodeProcess:
            # YAML names hold dots: window__length stands for window.length.
            named = {name.replace('__', '.'): value for name, value in params.items()}
            usual = {
                'cameras': list(recording.cameras),
                'weights': truth,
                'tf.wait': 0.3,
                # A busy machine may stop every process for a while; no camera died.
                'sync_timeout': 2.0,
                'camera_timeout': 30.0,
            }
            node = stack.enter_context(NodeProcess(usual | named, bench.domain_id))
            if wait_for:
                node.wait_for_log(wait_for)
            return node

        yield start

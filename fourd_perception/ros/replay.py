"""A recording through the real node: played over DDS, every output recorded, losses counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import time
from typing import Any

from fourd_perception.bag.reader import BagReader
from fourd_perception.bag.writer import BagWriter
from fourd_perception.ros.process import node_environment, NodeProcess
from fourd_perception.ros.replay_run import ReplayRun
from fourd_perception.ros.replay_session import Progress, ReplaySession
from fourd_perception.ros.settings import Settings
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


@dataclass(frozen=True)
class ReplaySettings:
    """What to replay.

    bag:    recording with images, CameraInfo and TF
    out:    folder for `bag/` (the outputs), `run.yaml` and `node.log`
    params: parameters of the node by dotted name, `cameras` among them
    rate:   seconds of the recording per second; None goes as slowly as it takes for 20 slices (or
            all that there are) to be inferred
    loops:  passes over the recording; the clock jumps back between them
    """

    bag: Path
    out: Path
    params: Mapping[str, Any]
    rate: float | None = 1.0
    loops: int = 1


def replay(settings: ReplaySettings, progress: Progress) -> ReplayRun:
    """Replay a recording, write `run.yaml`, and return what happened.

    progress: takes the share played (0-1) and the slices inferred so far
    Ctrl-C ends it early and still leaves a whole recording. Raises FileExistsError when `out`
    holds a replay already, ReplayError when the node does not come up or ends by itself.
    """
    begin = time.monotonic()
    outputs = settings.out / 'bag'
    if outputs.exists():
        raise FileExistsError(f'{outputs} exists; choose another --out, or remove what is there')
    domain_id = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    os.environ.update(node_environment(domain_id))
    params = {**settings.params, 'use_sim_time': True}
    interrupted = False
    with BagReader(settings.bag) as bag, _rclpy_node() as node:
        settings.out.mkdir(parents=True, exist_ok=True)
        process = NodeProcess(params, domain_id, log_path=settings.out / 'node.log')
        with BagWriter(outputs) as writer:
            session = ReplaySession(
                bag,
                node,
                writer,
                process,
                Settings.from_values(params),
                settings.rate,
                settings.loops,
            )
            try:
                with process:
                    session.play(progress)
            except KeyboardInterrupt:
                interrupted = True
            session.recorder.drain()
        run = session.result(time.monotonic() - begin, interrupted)
    run.write(settings.out / 'run.yaml')
    return run


@contextmanager
def _rclpy_node() -> Iterator[Node]:
    """A node without services or logging of its own; Ctrl-C stays a KeyboardInterrupt."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield rclpy.create_node(
            'fourd_perception_replay',
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
    finally:
        rclpy.shutdown()

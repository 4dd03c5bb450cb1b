"""A recording through the real node: played over DDS, every output recorded, losses counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import time
from typing import Any

from fourd_perception.bag.reader import BagReader
from fourd_perception.bag.writer import BagWriter
from fourd_perception.ros.process import node_environment, NodeProcess
from fourd_perception.ros.replay_run import ReplayRun
from fourd_perception.ros.replay_session import (
    Progress,
    ReplayError,
    ReplaySession,
    WANTED_SLICES,
)
from fourd_perception.ros.settings import Settings
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

# How many times the slices that are wanted a second try gives the node time for.
SECOND_TRY = 2.0


@dataclass(frozen=True)
class ReplaySettings:
    """What to replay.

    bag:    recording with images, CameraInfo and TF
    out:    folder for `bag/` (the outputs), `run.yaml` and `node.log`
    params: parameters of the node by dotted name, `cameras` among them
    rate:   seconds of the recording per second; None goes as slowly as it takes for 20 slices (or
            all that there are) to be inferred, and plays it again, slower, when that failed
    loops:  passes over the recording; the clock jumps back between them
    """

    bag: Path
    out: Path
    params: Mapping[str, Any]
    rate: float | None = 1.0
    loops: int = 1


def replay(settings: ReplaySettings, progress: Progress, tell: Callable[[str], None]) -> ReplayRun:
    """Replay a recording, write `run.yaml`, and return what happened.

    progress: takes the share played (0-1) and the slices inferred so far
    tell:     takes a line for the user
    Ctrl-C ends it early and still leaves a whole recording. Raises FileExistsError when `out`
    holds a replay already, ReplayError when the node does not come up or ends by itself, and when
    an automatic rate has found less than 20 slices in a recording that holds them (all is written
    then).
    """
    outputs = settings.out / 'bag'
    if outputs.exists():
        raise FileExistsError(f'{outputs} exists; choose another --out, or remove what is there')
    run = _play(settings, settings.rate, progress)
    if settings.rate is not None:
        return run
    if _too_few(run) and run.slices:
        slower = run.rate * run.slices / (SECOND_TRY * WANTED_SLICES)
        tell(f'{_found(run)}; it is played once more, at rate {slower:.3g}')
        shutil.rmtree(outputs)
        run = _play(settings, slower, progress)
    if _too_few(run):
        raise ReplayError(
            f'{_found(run)}, {WANTED_SLICES} are wanted; {settings.out / "run.yaml"} tells what '
            'became of the images. Give a --rate to have it as it is'
        )
    return run


def _too_few(run: ReplayRun) -> bool:
    return not run.interrupted and run.slices < WANTED_SLICES <= run.slices_available


def _found(run: ReplayRun) -> str:
    return (
        f'only {run.slices} of {run.slices_available} slices were inferred at rate {run.rate:.3g}'
    )


def _play(settings: ReplaySettings, rate: float | None, progress: Progress) -> ReplayRun:
    """One replay with a node of its own."""
    begin = time.monotonic()
    domain_id = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    os.environ.update(node_environment(domain_id))
    params = {**settings.params, 'use_sim_time': True}
    interrupted = False
    with BagReader(settings.bag) as bag, _rclpy_node() as node:
        settings.out.mkdir(parents=True, exist_ok=True)
        process = NodeProcess(params, domain_id, log_path=settings.out / 'node.log')
        with BagWriter(settings.out / 'bag') as writer:
            checked = Settings.from_values(params)
            session = ReplaySession(bag, node, writer, process, checked, rate, settings.loops)
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

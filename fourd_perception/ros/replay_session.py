"""One replay, from the start of the node to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
import time
from typing import Any

from fourd_perception.bag.camera_topics import absolute
from fourd_perception.bag.reader import BagReader
from fourd_perception.bag.writer import BagWriter
from fourd_perception.engine.scene_update import Output
from fourd_perception.ros.cdr import leading_stamp
from fourd_perception.ros.node_status import NodeStatus
from fourd_perception.ros.player import Player
from fourd_perception.ros.process import NodeProcess
from fourd_perception.ros.recorder import Recorder
from fourd_perception.ros.replay_run import latency_of, ReplayRun, TopicRecord
from fourd_perception.ros.settings import knobs, Settings
from fourd_perception.wire.topics import scene_topics
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

NODE_NAME = '/fourd_perception'
DIAGNOSTICS = '/diagnostics'
TF_TOPICS = ('/tf', '/tf_static')
# Loading of large weights included.
READY_SECONDS = 120.0
SETTLE_SECONDS = 0.5
# A node that failed to start says so for at least this long.
FAILED_SECONDS = 2.5
# Between two looks into the queues of the recorder, and two looks at the graph.
DRAIN_SECONDS = 0.02
LOOK_SECONDS = 0.25
# The node has drained when nothing is pending, and no output came for so long.
QUIET_SECONDS = 1.5
LONGEST_DRAIN_SECONDS = 60.0

Progress = Callable[[float, int], None]


class ReplayError(RuntimeError):
    """A replay that could not be carried out; the text says why and what the node wrote."""


class ReplaySession:
    """A player, the node as a process of its own, and a recorder, on one thread without a spin.

    Polling costs a hundredth of an executor: 0.1 ms for 46 empty queues.
    """

    def __init__(
        self,
        bag: BagReader,
        node: Node,
        writer: BagWriter,
        process: NodeProcess,
        settings: Settings,
        rate: float,
        loops: int,
    ) -> None:
        self._bag, self._process, self._settings = bag, process, settings
        self._rate, self._loops = rate, loops
        self._inputs = [
            absolute(topic)
            for camera in settings.cameras
            for topic in (settings.image_topic_of(camera), settings.camera_info_topic_of(camera))
        ]
        tf = [topic for topic in TF_TOPICS if topic in bag.topics]
        self.player = Player(node, bag, [*self._inputs, *tf], rate, loops)
        self.recorder = Recorder(node, NODE_NAME, writer, lambda: self.player.unrolled)
        self.recorder.on_message = self._heard
        self.status = NodeStatus()
        outputs = scene_topics(settings.cameras)
        self._scene = {
            absolute(settings.output_prefix + spec.name): spec.output for spec in outputs
        }
        self._latencies: dict[int, float] = {}
        self._last_output = self._longest_pause = 0.0
        self._next_drain = self._next_look = 0.0

    def play(self, progress: Progress) -> None:
        """Wait for the node, play everything, and wait until the node has answered it all."""
        self.player.announce()
        self._get_ready()
        self.player.start()
        span = self._loops * max(self._bag.end - self._bag.start, 1)
        begin = self.player.unrolled
        while not self.player.finished:
            self._turn()
            progress((self.player.unrolled - begin) / span, self.slices)
        self._drain()
        progress(1.0, self.slices)

    @property
    def slices(self) -> int:
        """Slices that the node says it has inferred."""
        return self.status.total('inferred')

    @property
    def slices_available(self) -> int:
        """Images of the camera with most, all passes together."""
        counts = [self._bag.topics[topic].count for topic in self._inputs[::2]]
        return self._loops * max(counts)

    def result(self, seconds: float, interrupted: bool) -> ReplayRun:
        """What has happened, once the node has ended."""
        return ReplayRun(
            bag=str(self._bag.path),
            parameters=plain_values(self._settings),
            rate=self._rate,
            loops=self._loops,
            late=round(self.player.lateness, 4),
            played=self.player.published,
            slices=self.slices,
            slices_available=self.slices_available,
            outputs={
                name: TopicRecord(t.type, t.count, t.foreign, t.lost, t.size)
                for name, t in sorted(self.recorder.topics.items())
            },
            skipped=self.recorder.skipped,
            latency=latency_of(list(self._latencies.values())),
            status=self.status.statuses,
            exit_code=self._process.returncode,
            seconds=round(seconds, 2),
            interrupted=interrupted,
        )

    def _get_ready(self) -> None:
        begin = changed = time.monotonic()
        failing: float | None = None
        while True:
            now = time.monotonic()
            if self.recorder.discover():
                changed = now
            self.recorder.drain()
            self._check_alive()
            missing = [t for t in self.player.unmatched() if t in self._inputs]
            settled = now - changed > SETTLE_SECONDS
            if settled and not missing and self.recorder.matched():
                return
            failing = (failing or now) if self.status.errors else None
            if failing and now - failing > FAILED_SECONDS:
                raise ReplayError('; '.join(self.status.errors))
            if now - begin > READY_SECONDS:
                raise ReplayError(
                    f'the node is not ready after {READY_SECONDS:g} s; it does not subscribe to '
                    f'{", ".join(missing) or "more"}.\n{self._process.log}'
                )
            self.player.hold()
            time.sleep(0.05)

    def _turn(self) -> None:
        """One round of the loop: publish what is due, take what has come, look at the graph."""
        wait = self.player.step()
        now = time.monotonic()
        if now >= self._next_drain:
            self._next_drain = now + DRAIN_SECONDS
            self.recorder.drain()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self.recorder.discover()
            self._check_alive()
        time.sleep(max(0.0, min(wait, DRAIN_SECONDS)))

    def _drain(self) -> None:
        """Let the clock run on until nothing is pending and no more output comes.

        An inference may be under way without a sign: wait twice the longest pause there was.
        """
        begin, heard = time.monotonic(), self.status.received
        quiet = max(QUIET_SECONDS, 2.0 * self._longest_pause)
        while time.monotonic() - begin < LONGEST_DRAIN_SECONDS:
            self._turn()
            silent = time.monotonic() - max(begin, self._last_output) > quiet
            if silent and self.status.received > heard + 1 and not self.status.total('pending'):
                return

    def _check_alive(self) -> None:
        code = self._process.returncode
        if code is not None:
            raise ReplayError(f'the node ended by itself with code {code}.\n{self._process.log}')

    def _heard(self, topic: str, sent: int, payload: bytes) -> None:
        if topic == DIAGNOSTICS:
            self.status.take(payload)
        output = self._scene.get(topic)
        if output is None:
            return
        now = time.monotonic()
        if self._last_output:
            self._longest_pause = max(self._longest_pause, now - self._last_output)
        self._last_output = now
        # Flow carries the stamp of the older image, which tells nothing of its latency.
        first = self.player.first_sent.get(leading_stamp(payload))
        if first and output not in (Output.FLOW, Output.FLOW_COLOR):
            seconds = (sent - first) / 1e9
            self._latencies[first] = max(seconds, self._latencies.get(first, 0.0))


def replay_once(
    bag_path: Path,
    out: Path,
    params: Mapping[str, Any],
    rate: float,
    loops: int,
    domain_id: int,
    progress: Progress,
) -> ReplayRun:
    """Replay a recording once into `out`.

    Ctrl-C ends it early and still leaves a whole recording. Raises ReplayError when the node does
    not come up or ends by itself.
    """
    begin = time.monotonic()
    interrupted = False
    params = {**params, 'use_sim_time': True}
    with (
        BagReader(bag_path) as bag,
        _rclpy_node() as node,
        BagWriter(out / 'bag') as writer,
    ):
        process = NodeProcess(params, domain_id, log_path=out / 'node.log')
        settings = Settings.from_values(params)
        session = ReplaySession(bag, node, writer, process, settings, rate, loops)
        try:
            with process:
                session.play(progress)
        except KeyboardInterrupt:
            interrupted = True
        session.recorder.drain()
        return session.result(time.monotonic() - begin, interrupted)


def plain_values(settings: Settings) -> dict[str, Any]:
    """Every parameter by its dotted name, tuples as lists."""
    values = {knob.name: getattr(settings, field) for field, knob in knobs()}
    return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}


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

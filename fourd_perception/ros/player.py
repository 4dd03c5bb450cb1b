"""Plays a bag over DDS, byte for byte, with the recorded QoS and `/clock`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import time

from fourd_perception.bag.reader import BagReader
from fourd_perception.ros.bag_qos import publishing_profile
from fourd_perception.ros.cdr import leading_stamp
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.wire.stamps import time_of
from fourd_perception.wire.topics import IMAGE
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rosgraph_msgs.msg import Clock

CLOCK_STEP = 10_000_000
# So long `/clock` runs on after the last message: the node must see its last deadlines pass.
TAIL = 400_000_000
NANOSECONDS = 1_000_000_000
# Longest stay in one `step`, so that the caller's loop stays alive when the player is behind.
STEP_SECONDS = 0.005


class Player:
    """Publishes topics of a bag at `rate` seconds of the bag per second, `loops` times.

    There is no thread and nothing to spin: the loop of the caller calls `step` and sleeps no
    longer than it says. `/clock` ticks every 10 ms of the bag, never runs ahead of a message that
    is still to be published, jumps back with every pass, and stops a moment after the last one.

    published:  messages sent per topic
    first_sent: stamp of an image -> wall clock (ns) at which the first image with it was sent
                in this pass
    now:        time of the bag, ns; `unrolled` the same without the jumps back between passes
    lateness:   s, the most that a message was sent behind its time
    finished:   whether every message of every pass has been sent
    """

    def __init__(
        self, node: Node, bag: BagReader, topics: Iterable[str], rate: float = 1.0, loops: int = 1
    ) -> None:
        if rate <= 0 or loops < 1:
            raise ValueError(f'rate {rate}, loops {loops}: play at a rate above 0, at least once')
        self._bag, self._rate, self._loops = bag, rate, loops
        self._types = RclpyTypes()
        infos = {name: bag.topics[name] for name in topics}
        profiles = {name: publishing_profile(info.qos) for name, info in infos.items()}
        self._images = {name for name, info in infos.items() if info.type == IMAGE}
        self._latched = [
            name
            for name, profile in profiles.items()
            if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        ]
        self._publishers = {
            name: node.create_publisher(self._types.message(info.type), name, profiles[name])
            for name, info in infos.items()
        }
        self._clock = node.create_publisher(Clock, '/clock', 10)
        self.published = dict.fromkeys(infos, 0)
        self.first_sent: dict[int, int] = {}
        self.lateness = 0.0
        self.finished = False
        self._events = self._schedule()
        self._next = next(self._events, None)
        if self._next is None:
            raise ValueError(f'{bag.path} holds no message on {", ".join(self._publishers)}')
        self.now = self.unrolled = self._next[0]
        self._anchor = (0, 0)

    def unmatched(self) -> list[str]:
        """Topics that nobody subscribes to yet."""
        return [n for n, p in self._publishers.items() if p.get_subscription_count() == 0]

    def announce(self) -> None:
        """Send what is latched, such as `/tf_static`, as a running robot would have before."""
        if self._latched:
            for topic, _, payload in self._bag.messages(self._latched):
                self._send(topic, payload)

    def hold(self) -> None:
        """Publish the time of the first message, while the time of the bag stands still."""
        self._tick(self.now)

    def start(self) -> None:
        """Let the time of the bag run from now on."""
        self._anchor = (time.monotonic_ns(), self.now)

    def step(self) -> float:
        """Publish what is due; seconds until the next call is worth while."""
        begin = time.monotonic()
        while self._next and time.monotonic() - begin < STEP_SECONDS:
            stamp, topic, payload = self._next
            if stamp < self.now:
                self.first_sent.clear()
                self._anchor = (time.monotonic_ns(), stamp)
            wall, origin = self._anchor
            ahead = wall / NANOSECONDS + (stamp - origin) / NANOSECONDS / self._rate
            ahead -= time.monotonic()
            if ahead > 0:
                return ahead
            self.unrolled += max(0, stamp - self.now)
            self.now = stamp
            if topic is None:
                self._tick(stamp)
            else:
                self.lateness = max(self.lateness, -ahead)
                self._send(topic, payload)
            self._next = next(self._events, None)
        return 0.0 if self._next else STEP_SECONDS

    def _schedule(self) -> Iterator[tuple[int, str | None, bytes]]:
        """(time, topic, payload) of all passes, ticks of the clock (no topic) between."""
        tick = 0
        for number in range(self._loops):
            topics = [n for n in self._publishers if number or n not in self._latched]
            tick = 0
            for topic, stamp, payload in self._bag.messages(topics):
                tick = tick or stamp
                while tick <= stamp:
                    yield tick, None, b''
                    tick += CLOCK_STEP
                yield stamp, topic, payload
        self.finished = True
        for later in range(0, TAIL, CLOCK_STEP):
            yield tick + later, None, b''

    def _send(self, topic: str, payload: bytes) -> None:
        self._publishers[topic].publish(payload)
        self.published[topic] += 1
        if topic in self._images:
            self.first_sent.setdefault(leading_stamp(payload), time.time_ns())

    def _tick(self, stamp: int) -> None:
        self._clock.publish(Clock(clock=time_of(self._types, stamp)))

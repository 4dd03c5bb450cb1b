"""A test's side of the DDS domain: cameras that publish, ears that listen, services to call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from fourd_perception.ros.messages import RclpyTypes
from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.wire.camera_info import camera_info_message
from fourd_perception.wire.images import image_message
from fourd_perception.wire.transforms import Edge, tf_message
from lifecycle_msgs.srv import ChangeState
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

TYPES = RclpyTypes()
NODE = '/fourd_perception'
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def wait_until(true: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """The first truthy answer; fails with `what` when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < deadline, f'not within {seconds} s: {what}'
        time.sleep(0.01)
    return answer


class Bench:
    """One rclpy context on one domain, spun by a thread; everything is gone after `close`."""

    def __init__(self, domain_id: int) -> None:
        self.domain_id = domain_id
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node('bench', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin)
        self._running = True
        self._thread.start()
        self._status: dict[str, Any] = {}
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._take_status, 10)

    def close(self) -> None:
        """Leave the domain."""
        self._running = False
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()

    def listen(self, message_class: Any, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with every message on a topic."""
        heard: list[Any] = []
        self.node.create_subscription(message_class, topic, heard.append, qos)
        return heard

    def status(self, name: str) -> Any:
        """The newest DiagnosticStatus of the node with this name, or None."""
        return self._status.get(f'fourd_perception: {name}')

    def forget_status(self) -> None:
        """Let `status` answer None until the node speaks again."""
        self._status.clear()

    def values(self, name: str) -> dict[str, str]:
        """Key-value pairs of a status; empty before it came."""
        status = self.status(name)
        return {} if status is None else {value.key: value.value for value in status.values}

    def call(self, service_class: Any, name: str, request: Any) -> Any:
        """Answer of a service of the node."""
        client = self.node.create_client(service_class, f'{NODE}/{name}')
        assert client.wait_for_service(10.0), f'no service {name}'
        future = client.call_async(request)
        wait_until(future.done, f'an answer of {name}', 20.0)
        self.node.destroy_client(client)
        return future.result()

    def transition(self, name: str) -> bool:
        """Run a lifecycle transition; whether it succeeded."""
        request = ChangeState.Request()
        request.transition.label = name
        return self.call(ChangeState, 'change_state', request).success

    def reset(self) -> Any:
        """Call `~/reset`."""
        return self.call(Trigger, 'reset', Trigger.Request())

    def set_clock(self, nanoseconds: int) -> None:
        """Publish one /clock message."""
        if not hasattr(self, '_clock'):
            self._clock = self.node.create_publisher(Clock, '/clock', 10)
            wait_until(self._clock.get_subscription_count, 'the node on /clock')
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(nanoseconds, 10**9)
        self._clock.publish(message)

    def _take_status(self, array: DiagnosticArray) -> None:
        self._status |= {status.name: status for status in array.status}

    def _spin(self) -> None:
        while self._running:
            self._executor.spin_once(timeout_sec=0.05)


class Cameras:
    """The cameras of a recording, live: images, CameraInfo and /tf_static.

    posed:  cameras that /tf_static connects to base_link; all when None
    models: what CameraInfo says, where that is not the truth
    """

    def __init__(
        self,
        bench: Bench,
        recording: SyntheticRecording,
        images: dict[str, list[Any]],
        posed: Iterable[str] | None = None,
        qos: Any = 10,
        models: dict[str, Any] | None = None,
    ) -> None:
        node = self._node = bench.node
        self._models = recording.cameras if models is None else models
        self.recording = recording
        self.images = images
        self.count = min(len(each) for each in images.values())
        self.silent: set[str] = set()
        self._image = {
            name: node.create_publisher(Image, f'{name}/image_rect', qos) for name in images
        }
        self._info = {
            name: node.create_publisher(CameraInfo, f'{name}/camera_info', qos) for name in images
        }
        self._tf_static = node.create_publisher(TFMessage, '/tf_static', LATCHED)
        edges = [
            Edge('base_link', camera.frame_id, camera.base_from_camera, 0)
            for name, camera in recording.cameras.items()
            if name in (images if posed is None else posed)
        ]
        if edges:
            self._tf_static.publish(tf_message(TYPES, edges))

    def connect(self) -> None:
        """Block until the node reads every camera and knows its calibration."""
        for publisher in (*self._image.values(), *self._info.values()):
            wait_until(publisher.get_subscription_count, f'a reader of {publisher.topic_name}')
        for name in self.images:
            self._calibrate(name, 0)
        time.sleep(0.2)  # topics are not ordered among each other

    def close(self) -> None:
        """Take the publishers off the graph."""
        for publisher in (*self._image.values(), *self._info.values(), self._tf_static):
            self._node.destroy_publisher(publisher)

    def send(self, k: int) -> None:
        """Publish instant `k` of the recording."""
        for name, images in self.images.items():
            if name not in self.silent:
                self._calibrate(name, k)
                self._image[name].publish(images[k])

    def _calibrate(self, name: str, k: int) -> None:
        stamp, camera = self.recording.stamps(name)[k], self._models[name]
        self._info[name].publish(camera_info_message(TYPES, stamp, camera))

    def play(self, instants: Iterable[int], heard: list[Any] | None = None) -> None:
        """Publish instants one by one, each after something was heard of the one before.

        Without `heard`, in real time.
        """
        for k in instants:
            before = len(heard) if heard is not None else 0
            self.send(k)
            if heard is None:
                time.sleep(0.1)
            else:
                wait_until(lambda n=before: len(heard) > n, f'an answer to instant {k}')


def render(recording: SyntheticRecording) -> dict[str, list[Any]]:
    """All images of a recording as messages."""
    return {
        name: [
            image_message(TYPES, stamp, camera.frame_id, recording.image(name, stamp), 'rgb8')
            for stamp in recording.stamps(name)
        ]
        for name, camera in recording.cameras.items()
    }

"""The ROS 2 node: lifecycle, timers, services; the work is done by what `configure` makes."""

from __future__ import annotations

from collections.abc import Callable
import gc
import time
import traceback
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from fourd_perception.ros.diagnostics import NodeView, status_message, statuses
from fourd_perception.ros.parameters import NodeParameters
from fourd_perception.ros.settings import Settings
from fourd_perception.ros.shutdown import leave, StopSignals
import rclpy
from rclpy.clock import Clock, ClockChange, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_srvs.srv import Trigger

if TYPE_CHECKING:
    from fourd_perception.ros.pipeline import Pipeline

NAME = 'fourd_perception'
DISCOVERY_SECONDS = 1.0  # until the publishers of other nodes are known
JOIN_SECONDS = 1.0


class PerceptionNode(LifecycleNode):
    """Images of many cameras in, a metric 4-D scene out. See design section 4 for its interface.

    configure loads the weights and makes the publishers, activate subscribes and infers,
    deactivate and cleanup undo them. Health is watched on a steady clock in every state.
    """

    def __init__(self) -> None:
        super().__init__(NAME)
        self._born = time.monotonic()
        self._pipeline: Pipeline | None = None
        self._state = 'unconfigured'
        self._fault = ''
        self._checked_parameters = NodeParameters(self, self._is_configured, self._apply)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 5)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._watch, clock=self._steady)
        # Kept: the clock holds it weakly.
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            ),
            post_callback=self._on_clock_jump,
        )

    # Lifecycle

    def start_when_spinning(self) -> None:
        """Configure and activate as soon as callbacks run, if the parameter `autostart` says so.

        What fails is logged and shown in diagnostics, and the node stays in the state it was in.
        """
        if self.get_parameter('autostart').value:
            self._starter = self.create_timer(0.0, self._autostart, clock=self._steady)

    def _autostart(self) -> None:
        self._starter.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the weights, warm up, make the publishers."""
        return self._transition(
            'configure', 'inactive', self._configure, super().on_configure, state
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to infer."""
        return self._transition('activate', 'active', self._activate, super().on_activate, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and end inference."""
        return self._transition(
            'deactivate', 'inactive', self._deactivate, super().on_deactivate, state
        )

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Destroy everything that configure made."""
        return self._transition(
            'cleanup', 'unconfigured', self._clean_up, super().on_cleanup, state
        )

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End for good; only diagnostics go on."""
        return self._transition(
            'shutdown', 'finalized', self._clean_up, super().on_shutdown, state
        )

    def stop(self) -> None:
        """Leave the graph; a kernel that still runs is not waited for longer than a second."""
        if self._pipeline is not None:
            self._pipeline.deactivate(JOIN_SECONDS)
        self.destroy_node()
        # rclpy forgets this one; it holds the node, thus DDS's participant and the shared memory
        # of its profile, which would outlive the process.
        self._state_machine.destroy_when_not_in_use()

    def _transition(
        self,
        name: str,
        target: str,
        action: Callable[[], None],
        base: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        """Run a transition; rclpy would swallow its exception, we say it with the remedy."""
        try:
            action()
            result = base(state)
        except Exception as error:
            self._state = state.label
            self._fault = f'{name} failed: {error}'
            me = self.get_fully_qualified_name()
            self.get_logger().error(f'{self._fault} (then: ros2 lifecycle set {me} {name})')
            self._report()
            return TransitionCallbackReturn.FAILURE
        self._state, self._fault = target, ''
        self.get_logger().info(f'{name}: the node is {target}')
        return result

    def _configure(self) -> None:
        settings = self._checked_parameters.settings()
        self._state = 'configuring: the weights are being loaded'
        self._report()
        # Here, because torch takes seconds that diagnostics need not wait for.
        from fourd_perception.ros.pipeline import Pipeline

        # Until then the publishers of others are not all known.
        time.sleep(max(0.0, self._born + DISCOVERY_SECONDS - time.monotonic()))
        self._pipeline = Pipeline(self, settings)
        info = self._pipeline.predictor.info
        self.get_logger().info(
            f'weights {info.name} ({info.parameters} parameters, licence {info.licence}'
            f'{info.sha256 and f", SHA-256 {info.sha256}"}) on {self._pipeline.device}'
        )
        if info.notice:
            self.get_logger().warning(info.notice)

    def _activate(self) -> None:
        assert self._pipeline is not None
        try:
            self._pipeline.activate()
        except Exception:
            self._pipeline.deactivate()
            raise

    def _deactivate(self) -> None:
        assert self._pipeline is not None
        self._pipeline.deactivate()

    def _clean_up(self) -> None:
        if self._pipeline is not None:
            self._pipeline.deactivate()
            self._pipeline.destroy()
        self._pipeline = None
        gc.collect()

    def _is_configured(self) -> bool:
        return self._pipeline is not None

    def _apply(self, settings: Settings) -> None:
        if self._pipeline is not None:
            self._pipeline.apply(settings)

    # Time

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if self._pipeline is None:
            return
        back = -jump.delta.nanoseconds
        if jump.clock_change in (ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED):
            self._pipeline.jump('use_sim_time was switched')
        elif back > 1e9 * self._pipeline.settings.jump_threshold:
            self._pipeline.jump(f'/clock went back by {back / 1e9:.3f} s', back)

    # Health

    def _watch(self) -> None:
        if self._pipeline is not None:
            self._pipeline.watch()
        self._report()

    def _report(self) -> None:
        """Publish the diagnostics."""
        clock = self.get_clock()
        no_clock = clock.ros_time_is_active and clock.now().nanoseconds == 0
        view = NodeView(self._state, self._fault, no_clock, self._pipeline)
        message = DiagnosticArray()
        message.header.stamp = clock.now().to_msg()
        message.status = [status_message(each, self.get_name()) for each in statuses(view)]
        self._diagnostics.publish(message)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._pipeline is not None
        if self._pipeline is not None:
            self._pipeline.reset()
            response.message = 'window, world, scale and path begin anew'
        else:
            response.message = 'nothing to reset: the node is unconfigured'
        return response


def main() -> None:
    """Run the node until SIGINT or SIGTERM, then end with code 0 within 2 s."""
    signals = StopSignals()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    node = PerceptionNode()
    executor.add_node(node)
    stop: Future[None] = Future()
    signals.on_stop(lambda: stop.set_result(None))
    node.start_when_spinning()
    while not stop.done():
        try:
            executor.spin_until_future_complete(stop)
        except Exception:
            # One bad message must not end a robot's perception.
            node.get_logger().error(f'a callback failed: {traceback.format_exc()}')
    node.stop()
    rclpy.try_shutdown()
    leave()


if __name__ == '__main__':
    main()

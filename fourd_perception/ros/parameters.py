"""ROS parameters made from `Settings`: declared with range and unit, checked when they are set."""

from __future__ import annotations

from collections.abc import Callable

from fourd_perception.ros.settings import checked, defaults, Knob, knobs, Settings
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

# rcl needs both ends of a range.
LARGEST_INTEGER = 2**31 - 1
LARGEST_FLOAT = 1e9


class NodeParameters:
    """The node's parameters and the rule of when they may change.

    configured: tells whether the node is past `configure`: then only live parameters may change
    changed:    called with the new settings after a live change
    """

    def __init__(
        self, node: Node, configured: Callable[[], bool], changed: Callable[[Settings], None]
    ) -> None:
        self._node = node
        self._configured = configured
        self._changed = changed
        # Refused at start: what a parameter file gave and why; the default stands in meanwhile.
        self._faults: dict[str, str] = {}
        for (_, knob), default in zip(knobs(), defaults()):
            self._declare(knob, default)
        node.add_on_set_parameters_callback(self._check)

    def settings(self) -> Settings:
        """The settings as the parameters stand now. Raises ValueError when they are unusable."""
        if self._faults:
            raise ValueError('; '.join(self._faults.values()))
        return Settings.from_values(self._values())

    def _values(self) -> dict[str, object]:
        return {knob.name: self._node.get_parameter(knob.name).value for _, knob in knobs()}

    def _declare(self, knob: Knob, default: object) -> None:
        value = list(default) if isinstance(default, tuple) else default
        descriptor = describe(knob, default)
        try:
            self._node.declare_parameter(knob.name, value, descriptor)
        except ParameterException as error:
            # Raised for a value outside the range: the node must live on to say so.
            self._faults[knob.name] = str(error)
            self._node.declare_parameter(knob.name, value, descriptor, ignore_override=True)

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse structural changes while configured, and values that no settings can hold."""
        by_name = {knob.name: (knob, default) for (_, knob), default in zip(knobs(), defaults())}
        ours = {p.name: p.value for p in parameters if p.name in by_name}
        structural = [name for name in ours if not by_name[name][0].live]
        if structural and self._configured():
            return _refusal(
                f'{", ".join(structural)} shapes what configure has made; '
                'run the transitions deactivate and cleanup first'
            )
        try:
            # Whether values fit together is for configure: they are set one after another.
            for name, value in ours.items():
                checked(by_name[name][0], value, by_name[name][1])
            if ours and self._configured():
                self._changed(Settings.from_values(self._values() | ours))
        except ValueError as error:
            return _refusal(str(error))
        for name in ours:
            self._faults.pop(name, None)
        return SetParametersResult(successful=True)


def describe(knob: Knob, default: object) -> ParameterDescriptor:
    """The descriptor of a parameter: meaning, unit, range, words to choose from."""
    descriptor = ParameterDescriptor(
        name=knob.name,
        description=knob.meaning,
        # Types are checked by `Settings`: rcl would refuse 1 for a number of seconds, and `[]`.
        dynamic_typing=True,
    )
    limits = [] if knob.live else ['only while the node is unconfigured']
    if knob.choices:
        limits.insert(0, f'one of {", ".join(knob.choices)}')
    descriptor.additional_constraints = '; '.join(limits)
    if knob.low is None or isinstance(default, bool):
        return descriptor
    if isinstance(default, int):
        high = LARGEST_INTEGER if knob.high is None else int(knob.high)
        descriptor.integer_range = [IntegerRange(from_value=int(knob.low), to_value=high)]
    else:
        top = LARGEST_FLOAT if knob.high is None else float(knob.high)
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(knob.low), to_value=top)
        ]
    return descriptor


def _refusal(reason: str) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=reason)

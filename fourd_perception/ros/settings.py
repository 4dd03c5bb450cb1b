"""Every parameter of the node: name, default, meaning, unit, range, and when it may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
import math
from pathlib import Path
from typing import Any

from fourd_perception.engine.settings import OutputSize, parse_output_size


@dataclass(frozen=True)
class Knob:
    """What a parameter is called in ROS and which values it takes.

    name:    dotted, as in parameter files
    meaning: one line for `ros2 param describe`; begins with the unit in brackets if there is one
    low, high: inclusive range of numbers, None without one
    choices: the words that a string may be; empty when any will do
    live:    whether it may change while the node is configured
    """

    name: str
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False


def knob(name: str, default: Any, meaning: str, **limits: Any) -> Any:
    """A dataclass field that is a parameter of the node."""
    return field(default=default, metadata={'knob': Knob(name, meaning, **limits)})


@dataclass(frozen=True)
class Settings:
    """The parameters of the node as one checked value. Seconds, metres and Hz throughout."""

    cameras: tuple[str, ...] = knob(
        'cameras', (), 'names of the cameras, the reference camera first; a name may hold "/"'
    )
    image_topic: str = knob(
        'image_topic', '{camera}/image_rect', 'topic of the rectified images of a camera'
    )
    camera_info_topic: str = knob(
        'camera_info_topic', '{camera}/camera_info', 'topic of the CameraInfo of a camera'
    )
    ignore_mask: str = knob(
        'ignore_mask',
        '',
        'PNG of the pixels that show the robot itself (not zero; size of the image), per camera, '
        'such as /etc/robot/{camera}.png; a camera without the file is used whole. Ignored pixels '
        'are unknown in labels, dynamic_value in dynamic_mask, and invalid in depth, confidence, '
        'flow and clouds; empty for none',
    )
    output_prefix: str = knob(
        'output_prefix', '', 'put before every output topic, such as "fourd/"'
    )
    world_frame: str = knob(
        'frames.world', 'fourd_world', 'name of the continuous world frame that the node makes'
    )
    base_frame: str = knob(
        'frames.base', 'base_link', "the rig's base; TF from it to the cameras gives metric scale"
    )
    fixed_frame: str = knob(
        'frames.fixed',
        '',
        'TF frame in which all cameras stand still, such as a laboratory: it becomes the world, '
        'poses are those of TF, and no TF is broadcast; empty for a moving rig',
    )
    weights: str = knob(
        'weights',
        'untrained:0',
        'fourd-small, which ships with the package; untrained:<seed> or untrained:<preset>:'
        '<seed>; truth:<synthetic recording>; a .safetensors or .pt file; or a name of '
        '`fourd-perception weights list` that has been fetched',
    )
    masks: str = knob(
        'masks',
        'auto',
        'where masks come from: the mask head of the weights, motion cues in their attention '
        '(no training needed), both (dynamic where either says so), or auto: the head if the '
        'weights have one, else motion cues',
        choices=('auto', 'head', 'motion_cues', 'both'),
    )
    pose: str = knob(
        'pose',
        'auto',
        'where motions come from: head (the poses that the network predicts), solved (depth and '
        'flow of what stands still, the predicted pose where that does not do), or auto: what '
        'suits the weights (solved for fourd-small, head for VGGT and 4D-VGGT)',
        choices=('auto', 'head', 'solved'),
    )
    device: str = knob('device', 'auto', 'auto (a GPU if there is one), cpu, or cuda:<number>')
    cpu_threads: int = knob(
        'cpu_threads', 0, 'threads of the network on a CPU; 0 takes all cores but one', low=0
    )
    pixel_budget: int = knob(
        'pixel_budget',
        37_632,
        '[pixels] of one image inside the network; smaller is faster, larger is finer',
        low=4_000,
        high=1_000_000,
    )
    max_rate: float = knob(
        'max_rate', 0.0, '[Hz] most inferences a second; 0 for no limit', low=0.0, live=True
    )
    window_length: int = knob(
        'window.length', 4, 'time steps that the network sees at once', low=2, high=64
    )
    window_min_interval: float = knob(
        'window.min_interval', 0.0, '[s] least time between two slices of the window', low=0.0
    )
    window_max_gap: float = knob(
        'window.max_gap', 1.0, '[s] a longer gap between slices empties the window', low=0.0
    )
    sync_slop: float = knob(
        'sync_slop',
        0.02,
        '[s] largest distance of a frame from its slice',
        low=0.0,
        high=1.0,
        live=True,
    )
    sync_timeout: float = knob(
        'sync_timeout',
        0.1,
        '[s] longest wait for the other cameras of a slice',
        low=0.001,
        live=True,
    )
    camera_timeout: float = knob(
        'camera_timeout',
        0.5,
        '[s] least silence after which a camera counts as dead',
        low=0.001,
        live=True,
    )
    min_cameras: int = knob(
        'min_cameras', 1, 'fewest cameras for a slice to be used', low=1, live=True
    )
    jump_threshold: float = knob(
        'jump_threshold',
        0.5,
        '[s] a larger step back in time starts anew',
        low=0.001,
        live=True,
    )
    output_size: str = knob(
        'output.size', 'network', 'size of the outputs: network, input, or <width>x<height>'
    )
    depth_encoding: str = knob(
        'depth_encoding',
        '32FC1',
        '32FC1: metres as floats; 16UC1: millimetres as integers, 0 invalid',
        choices=('32FC1', '16UC1'),
        live=True,
    )
    dynamic_value: int = knob(
        'dynamic_value',
        255,
        'value of dynamic and unknown pixels in dynamic_mask; static ones are 0',
        low=1,
        high=255,
        live=True,
    )
    allow_unscaled: bool = knob(
        'allow_unscaled',
        False,
        'publish depth, clouds, poses and TF although their scale is not metric',
    )
    clouds_frame: str = knob(
        'clouds.frame',
        'base',
        'frame of the fused clouds: base (world while the rig is unknown), or world',
        choices=('base', 'world'),
        live=True,
    )
    clouds_voxel: float = knob(
        'clouds.voxel', 0.05, '[m] edge of the voxels of the fused clouds', low=0.001, live=True
    )
    tf_mode: str = knob(
        'tf.mode',
        'auto',
        'what is broadcast: world -> cameras, world -> base, world -> root of the base (odom), '
        'none, or auto by who owns the frames',
        choices=('auto', 'cameras', 'base', 'odom', 'none'),
    )
    tf_wait: float = knob(
        'tf.wait', 2.0, '[s] given to TF after the first slice to tell of the rig', low=0.0
    )
    tf_invert: bool = knob(
        'tf.invert', False, 'broadcast the world as child, where the other frame needs its parent'
    )
    path_length: int = knob(
        'path.length', 500, 'poses kept in the path; the oldest leave', low=1, high=100_000
    )

    autostart: bool = knob(
        'autostart', True, 'configure and activate by itself at the start of the process'
    )

    def __post_init__(self) -> None:
        for (each, a_knob), default in zip(knobs(), defaults()):
            checked(a_knob, getattr(self, each), default)
        if not self.cameras:
            raise ValueError('no cameras are named; set the parameter `cameras`, such as [front]')
        if len(set(self.cameras)) != len(self.cameras) or '' in self.cameras:
            raise ValueError(f'cameras {list(self.cameras)}: names must differ and not be empty')
        for topic in ('image_topic', 'camera_info_topic', 'ignore_mask'):
            pattern = getattr(self, topic)
            shared = len(self.cameras) > 1 and '{camera}' not in pattern
            if shared and (pattern or topic != 'ignore_mask'):
                raise ValueError(
                    f'{topic} {pattern!r} is the same for all {len(self.cameras)} cameras; '
                    'write {camera} where the name belongs'
                )
        if self.min_cameras > len(self.cameras):
            raise ValueError(
                f'min_cameras {self.min_cameras} is more than the {len(self.cameras)} cameras'
            )
        _ = self.size  # refuses what is not a size

    def image_topic_of(self, camera: str) -> str:
        """Where the images of a camera come from."""
        return self.image_topic.replace('{camera}', camera)

    def camera_info_topic_of(self, camera: str) -> str:
        """Where the CameraInfo of a camera comes from."""
        return self.camera_info_topic.replace('{camera}', camera)

    def ignore_mask_of(self, camera: str) -> Path:
        """Where the mask of a camera would be; only where `ignore_mask` is set."""
        return Path(self.ignore_mask.replace('{camera}', camera)).expanduser()

    @property
    def broadcasts(self) -> bool:
        """Whether TF may be broadcast at all."""
        return self.tf_mode != 'none' and not self.fixed_frame

    @property
    def prefix(self) -> str:
        """`output_prefix`, ended by a slash unless it is empty."""
        prefix = self.output_prefix
        return prefix if not prefix or prefix.endswith('/') else f'{prefix}/'

    @property
    def size(self) -> OutputSize:
        """`output.size` as the engine takes it: 'network', 'input', or (width, height)."""
        return parse_output_size(self.output_size)

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> Settings:
        """Settings from dotted parameter names; names left out take their defaults.

        Raises ValueError that names the parameter, the value and what is allowed.
        """
        return Settings(
            **{
                each: checked(a_knob, values[a_knob.name], default)
                for (each, a_knob), default in zip(knobs(), defaults())
                if a_knob.name in values
            }
        )


def knobs() -> list[tuple[str, Knob]]:
    """(field name, knob) of every parameter, in the order of `Settings`."""
    return [(f.name, f.metadata['knob']) for f in fields(Settings)]


def defaults() -> list[Any]:
    """Default values, parallel to `knobs()`."""
    return [f.default for f in fields(Settings)]


def checked(a_knob: Knob, value: Any, default: Any) -> Any:
    """A value within the limits of its knob, in the type of the default.

    Raises ValueError that names the parameter, the value and what is allowed.
    """
    value = _converted(a_knob, value, default)
    if a_knob.choices and value not in a_knob.choices:
        raise ValueError(f'{a_knob.name} {value!r} is not one of {", ".join(a_knob.choices)}')
    low = -math.inf if a_knob.low is None else a_knob.low
    high = math.inf if a_knob.high is None else a_knob.high
    if isinstance(value, (int, float)) and not low <= value <= high:
        raise ValueError(f'{a_knob.name} {value} lies outside {low:g} .. {high:g}')
    return value


def _converted(a_knob: Knob, value: Any, default: Any) -> Any:
    """YAML's 1 is a fine 1.0, and an empty list of any type is empty."""
    if isinstance(default, tuple):
        # rcl parses an empty YAML list as an array of bytes.
        if value is None or (not isinstance(value, str) and len(value) == 0):
            return ()
        if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
            return tuple(value)
        raise ValueError(f'{a_knob.name} {value!r}: a list of strings is needed')
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ValueError(
            f'{a_knob.name} {value!r} is not of type {type(default).__name__}, such as {default!r}'
        )
    return value

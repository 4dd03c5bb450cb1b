"""How a scene is written down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WireSettings:
    """How a scene is written down.

    world_frame:    name of the world (`frames.world`, or `frames.fixed`)
    base_frame:     name of the rig's base (`frames.base`)
    cloud_frame:    frame of the fused clouds, 'base' or 'world'; world when the rig is unknown
    cloud_voxel:    edge of a voxel of the fused clouds, metres
    dynamic_value:  value of dynamic and unknown pixels in `dynamic_mask`, 1-255
    depth_encoding: '32FC1' (metres, NaN invalid) or '16UC1' (millimetres, 0 invalid)
    """

    world_frame: str = 'fourd_world'
    base_frame: str = 'base_link'
    cloud_frame: str = 'base'
    cloud_voxel: float = 0.05
    dynamic_value: int = 255
    depth_encoding: str = '32FC1'

    def __post_init__(self) -> None:
        if self.cloud_frame not in ('base', 'world'):
            raise ValueError(f"clouds.frame is 'base' or 'world', not {self.cloud_frame!r}")
        if not 1 <= self.dynamic_value <= 255:
            raise ValueError(
                f'dynamic_value {self.dynamic_value} is not within 1-255; 0 means static'
            )
        if self.depth_encoding not in ('32FC1', '16UC1'):
            raise ValueError(f"depth_encoding is '32FC1' or '16UC1', not {self.depth_encoding!r}")

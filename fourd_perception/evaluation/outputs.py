"""What scoring reads: the recorded outputs of the node, whoever has stored them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from fourd_perception.geometry.cameras import CameraModel
import numpy as np


class Outputs(Protocol):
    """Arrays by camera and stamp; `bag.outputs.RecordedOutputs` describes each of them."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the stamped topics."""

    def stamps(self, topic: str) -> tuple[int, ...]:
        """Stamps recorded on a topic, in order."""

    def depth(self, camera: str, stamp: int) -> np.ndarray:
        """float32 [h, w], metres, NaN invalid."""

    def depth_camera(self, camera: str, stamp: int) -> CameraModel:
        """The camera of the depth image."""

    def labels(self, camera: str, stamp: int) -> np.ndarray:
        """uint8 [h, w], `Label`."""

    def dynamic_mask(self, camera: str, stamp: int) -> np.ndarray:
        """uint8 [H, W], 0 static."""

    def flow(self, camera: str, stamp: int) -> Any:
        """`flow` [h, w, 2], `older` and `newer` stamps."""

    def cloud(self, topic: str, stamp: int) -> Any:
        """`cloud.xyz` [..., 3] and `frame_id`."""

    def pose(self, camera: str, stamp: int) -> np.ndarray:
        """world_from_camera [4, 4]."""

    def transforms(self, static: bool = False) -> Sequence[Any]:
        """Edges `parent`, `child`, `parent_from_child`, `stamp`, in the order recorded."""

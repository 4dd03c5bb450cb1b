"""What a network is given and what it answers: GridTensors in, Prediction out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fourd_perception.geometry.pixel_map import PixelMap
import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class GridTensors:
    """A visual grid as tensors of one network size.

    images:     float32 [V, T, 3, H, W], RGB in 0..1; zeros in missing cells and padding
    present:    bool [V, T] (numpy): cells that hold a frame
    valid:      bool [V, H, W]: False on letterbox padding and on pixels to be ignored
    intrinsics: float64 [V, 3, 3] (numpy) of the network image, pixel (0, 0) centred at (0, 0);
                NaN for a camera whose calibration is unknown
    pixel_maps: per view, from pixels of the camera's image to pixels of the network image
    cameras:    names of the views
    stamps:     int64 [V, T] (numpy), nanoseconds, -1 where missing
    reference:  (view, time) of the reference cell; always present
    dense_columns: how many of the newest columns need maps (depth, points, mask); those of the
                older ones may then be NaN. None: all
    """

    images: torch.Tensor
    present: np.ndarray
    valid: torch.Tensor
    intrinsics: np.ndarray
    pixel_maps: tuple[PixelMap, ...]
    cameras: tuple[str, ...]
    stamps: np.ndarray
    reference: tuple[int, int]
    dense_columns: int | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """A network's answer for every cell, in the network's own gauge.

    The world is the reference cell's camera of this window, the scale arbitrary, both new in
    every window. Missing cells are NaN in every field. Columns before `dense_columns` may have no
    maps: there depth, its confidence, points and mask may be NaN.

    depth:             float32 [V, T, H, W], along the optical axis (z), > 0
    depth_confidence:  float32 [V, T, H, W], >= 1
    world_from_camera: float64 [V, T, 4, 4] (numpy), rigid
    intrinsics:        float64 [V, T, 3, 3] (numpy), the network's own estimate, network pixels
    points:            float32 [V, T, H, W, 3] in the gauge's world, or None
    mask_logits:       float32 [V, T, H, W], > 0 dynamic, NaN unknown; None without a mask source
    flow_forward:      float32 [V, T, 2, H, W], pixels (u right, v down) from t to t+1 of the same
                       view; NaN where unknown and in the last column; None without a flow source
    flow_backward:     the same from t to t-1; NaN in the first column
    flow_forward_error, flow_backward_error: float32 [V, T, H, W], the expected length of the
                       flow's error, pixels; None where the flow's source does not tell
    """

    depth: torch.Tensor
    depth_confidence: torch.Tensor
    world_from_camera: np.ndarray
    intrinsics: np.ndarray
    points: torch.Tensor | None = None
    mask_logits: torch.Tensor | None = None
    flow_forward: torch.Tensor | None = None
    flow_backward: torch.Tensor | None = None
    flow_forward_error: torch.Tensor | None = None
    flow_backward_error: torch.Tensor | None = None


@dataclass(frozen=True)
class PredictorInfo:
    """What a predictor says of itself, for logs, diagnostics and reports.

    name:     for example `untrained:0` or `truth:out/demo/recording`
    patch:    network sizes are multiples of it, pixels
    licence:  of the weights (SPDX id or plain words)
    sha256:   of the file of the weights; empty where there is none
    notice:   words that every output must carry, such as that the weights are untrained; empty
              when there is nothing to warn of
    parameters: number of parameters
    has_mask, has_flow: whether `mask_logits` and the flows are ever given
    mask_source: where the masks come from, in a few words; empty without masks
    pose:     which poses suit: `head`, those predicted, or `solved` from depth and flow
    """

    name: str
    patch: int
    licence: str
    notice: str = ''
    sha256: str = ''
    parameters: int = 0
    has_mask: bool = True
    has_flow: bool = True
    mask_source: str = ''
    pose: str = 'head'


class Predictor(Protocol):
    """The networks and the truth predictor: tensors of a visual grid in, Prediction out."""

    @property
    def info(self) -> PredictorInfo:
        """Name, patch size, licence and notice."""

    def predict(self, grid: GridTensors) -> Prediction:
        """Read the grid; the result lies on the device of `grid.images`."""

"""The dense outputs of one camera at the newest instant, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
import math

from fourd_perception.engine.network_size import Layout, Size
from fourd_perception.engine.resample import (
    Resampler,
    resampler,
    same_label_blocks,
    smooth_blocks,
)
from fourd_perception.engine.scene_update import Label
from fourd_perception.engine.settings import OutputSize
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.model.prediction import Prediction
import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class View:
    """Where one camera's outputs come from: row `index` of the prediction.

    camera:       the input camera, with the intrinsics that depth is to be read with
    layout:       of its image in the network image
    valid:        bool [H, W], False on padding
    depth_factor: float64 [T], world units per unit of the network's depth
    older_stamp:  of the camera's frame in the slice before; None where there is none
    newer_stamp:  of its newest frame
    """

    index: int
    camera: CameraModel
    layout: Layout
    valid: torch.Tensor
    depth_factor: np.ndarray
    older_stamp: int | None
    newer_stamp: int


def output_camera(view: View, size: OutputSize) -> CameraModel:
    """Calibration of the outputs at `network`, `input` or (width, height) size."""
    if size == 'network':
        height, width = view.valid.shape
        return view.camera.mapped(view.layout.pixel_map, width, height)
    if isinstance(size, str):
        return view.camera
    return view.camera.resized(*size)


class CameraOutputs:
    """Reads one camera's row of a prediction, at one output size.

    At network size pixels are copied; at any other size they are resampled from the part of the
    network image that shows the camera's image.
    """

    def __init__(
        self, prediction: Prediction, view: View, output: CameraModel, network: bool
    ) -> None:
        self._prediction = prediction
        self._view = view
        self._sampler = None if network else self._resampler((output.width, output.height))

    def depth(self) -> torch.Tensor:
        """float32 [h, w], world units along z, NaN invalid."""
        depth = self._depth(-1) * float(self._view.depth_factor[-1])
        return depth if self._sampler is None else self._sampler.depth(self._shown(depth))

    def confidence(self, depth: torch.Tensor) -> torch.Tensor:
        """float32 [h, w], 1 - 1 / c of the network's c >= 1; 0 where `depth` [h, w] is invalid."""
        confidence = 1.0 - 1.0 / self._prediction.depth_confidence[self._view.index, -1]
        confidence = confidence.clamp(0.0, 1.0)
        if self._sampler is not None:
            shown = self._shown(confidence)
            everywhere = torch.ones_like(shown[1:, 1:], dtype=torch.bool)
            confidence = self._sampler.field(shown, everywhere).clamp(0.0, 1.0)
        return torch.where(torch.isfinite(depth), confidence, 0.0)

    def label(self) -> torch.Tensor | None:
        """uint8 [h, w], see `Label`; None without a mask."""
        label = self._label(-1)
        if label is None or self._sampler is None:
            return label
        return self._sampler.label(self._shown(label))

    def input_label(self) -> torch.Tensor | None:
        """uint8 [H_in, W_in]: labels at the size of the input image."""
        label = self._label(-1)
        if label is None:
            return None
        return self._resampler(self._view.layout.image).label(self._shown(label))

    def forward_flow(self) -> torch.Tensor | None:
        """float32 [h, w, 2] from the older image to the newest; None without both images."""
        return self._flow(self._prediction.flow_forward, -2)

    def backward_flow(self) -> torch.Tensor | None:
        """float32 [h, w, 2] from the newest image to the older one."""
        return self._flow(self._prediction.flow_backward, -1)

    def _flow(self, flow: torch.Tensor | None, time: int) -> torch.Tensor | None:
        if flow is None or self._view.older_stamp is None:
            return None
        pixels = torch.where(self._view.valid, flow[self._view.index, time], math.nan)
        if self._sampler is not None:
            smooth = smooth_blocks(self._shown(self._depth(time)))
            label = self._label(time)
            if label is not None:  # a mover's edge where it touches what it moves over
                smooth &= same_label_blocks(self._shown(label))
            pixels = self._sampler.field(self._shown(pixels), smooth)
            pixels = pixels * pixels.new_tensor(self._sampler.scale)[:, None, None]
        return pixels.permute(1, 2, 0)

    def _depth(self, time: int) -> torch.Tensor:
        depth = self._prediction.depth[self._view.index, time]
        return torch.where(self._view.valid & (depth > 0) & (depth < math.inf), depth, math.nan)

    def _label(self, time: int) -> torch.Tensor | None:
        if self._prediction.mask_logits is None or len(self._view.depth_factor) < 2:
            return None  # what moves shows between two instants
        logits = self._prediction.mask_logits[self._view.index, time]
        known = self._view.valid & ~logits.isnan()
        label = torch.where(known, (logits > 0).byte() * int(Label.DYNAMIC), int(Label.UNKNOWN))
        return label.byte()

    def _shown(self, image: torch.Tensor) -> torch.Tensor:
        return image[..., self._view.layout.rows, self._view.layout.columns]

    def _resampler(self, size: Size) -> Resampler:
        layout, device = self._view.layout, self._view.valid.device
        return resampler((layout.width, layout.height), size, str(device))

"""What is asked for of one camera, as numpy arrays: one copy off the device at the end."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.engine.camera_outputs import CameraOutputs, output_camera, View
from fourd_perception.engine.cells import resize_image
from fourd_perception.engine.scene_update import CameraUpdate, ForwardFlow, Output
from fourd_perception.engine.settings import OutputSize
from fourd_perception.engine.timings import StageTimes
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.grid.frame import Frame
from fourd_perception.model.prediction import Prediction
import numpy as np
import torch

CLOUDS = frozenset(
    {Output.CAMERA_POINTS, Output.POINTS, Output.POINTS_STATIC, Output.POINTS_DYNAMIC}
)
IN_METRES = CLOUDS | {Output.DEPTH, Output.CONFIDENCE}
LABELLED = frozenset({Output.LABELS, Output.POINTS_STATIC, Output.POINTS_DYNAMIC})
FLOWS = frozenset({Output.FLOW, Output.FLOW_COLOR})


@dataclass(frozen=True, eq=False)
class Pictures:
    """The newest image of a camera, uint8 RGB: as decoded [H_in, W_in, 3], at network size."""

    decoded: np.ndarray
    network: np.ndarray


def camera_update(
    frame: Frame,
    camera: CameraModel,
    view: View,
    prediction: Prediction,
    pictures: Pictures,
    world_from_camera: np.ndarray | None,
    size: OutputSize,
    wanted: frozenset[Output],
    times: StageTimes,
) -> CameraUpdate:
    """Compute what is in `wanted`, nothing else, at the output size.

    camera: calibration of the input image; `view.camera` may have the network's intrinsics instead
    """
    output = output_camera(view, size)
    outputs = CameraOutputs(prediction, view, output, size == 'network')
    colour = depth = confidence = label = input_label = backward = forward = None
    if wanted & CLOUDS:
        with times.stage('colour'):
            colour = _colour(pictures, output, size)
    if wanted & IN_METRES:
        with times.stage('depth'):
            on_device = outputs.depth()
            depth = _array(on_device) if wanted & (CLOUDS | {Output.DEPTH}) else None
            if Output.CONFIDENCE in wanted:
                confidence = _array(outputs.confidence(on_device))
    if wanted & (LABELLED | {Output.DYNAMIC_MASK}):
        with times.stage('labels'):
            label = _array(outputs.label()) if wanted & LABELLED else None
            if Output.DYNAMIC_MASK in wanted:
                input_label = _array(outputs.input_label())
    if wanted & FLOWS:
        with times.stage('flow'):
            forward = _forward(outputs, view)
            backward = _array(outputs.backward_flow()) if Output.FLOW in wanted else None
    return CameraUpdate(
        frame=frame,
        input=camera,
        output=output,
        world_from_camera=world_from_camera,
        colour=colour,
        depth=depth,
        confidence=confidence,
        label=label,
        input_label=input_label,
        flow_backward=backward,
        flow_forward=forward,
    )


def _array(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.contiguous().cpu().numpy()


def _forward(outputs: CameraOutputs, view: View) -> ForwardFlow | None:
    flow = _array(outputs.forward_flow())
    if flow is None or view.older_stamp is None:
        return None
    return ForwardFlow(flow, view.older_stamp, view.newer_stamp)


def _colour(pictures: Pictures, output: CameraModel, size: OutputSize) -> np.ndarray:
    if size == 'network':
        return pictures.network
    return resize_image(pictures.decoded, (output.width, output.height))

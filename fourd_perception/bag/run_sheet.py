"""The contact sheet of one replay, from its recorded outputs and the recording it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
from fourd_perception.bag.outputs import RecordedOutputs
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.transform_tree import TransformError, TransformTree
from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.viz.contact_sheet import CameraRow, contact_sheet
from fourd_perception.viz.plan import CloudView, Trajectory, Viewpoint
from fourd_perception.wire.images import decode_image
import numpy as np

# Nanoseconds within which frames of several cameras count as one instant: the node's sync_slop.
INSTANT = 20_000_000


def draw_sheet(
    path: Path,
    outputs: RecordedOutputs,
    inputs: RecordedOutputs,
    parameters: Mapping[str, Any],
    notices: Sequence[str],
    metric: bool,
    recording: SyntheticRecording | None,
) -> None:
    """Write a PNG of the newest instant of which everything is recorded, flow included.

    inputs: the recording that was played; recording: its truth, where known
    """
    cameras = parameters['cameras']
    stamps = {name: _instant(outputs, name) for name in cameras}
    rows = [
        _row(name, stamp, outputs, inputs, parameters['image_topic'])
        for name, stamp in stamps.items()
        if stamp is not None
    ]
    weights = parameters['weights']
    sheet = contact_sheet(
        rows or [CameraRow(name) for name in cameras],
        _cloud(outputs, stamps, _tree(outputs)),
        _trajectory(outputs, recording),
        f'{Path(inputs.path).name} through the node, weights {weights}',
        '   '.join(notices),
        unit='m' if metric else 'units without scale',
    )
    cv2.imwrite(str(path), sheet[..., ::-1])


def _instant(outputs: RecordedOutputs, camera: str) -> int | None:
    """Stamp of the last image with a flow to a newer one, else of the last depth."""
    for topic in ('flow', 'labels', 'depth/image_rect'):
        stamps = outputs.stamps(f'{camera}/{topic}')
        if stamps:
            return stamps[-1]
    return None


def _row(
    camera: str, stamp: int, outputs: RecordedOutputs, inputs: RecordedOutputs, image_topic: str
) -> CameraRow:
    def found(topic: str, read: Any) -> Any:
        return read(camera, stamp) if stamp in outputs.stamps(f'{camera}/{topic}') else None

    topic = image_topic.replace('{camera}', camera).lstrip('/')
    flow = found('flow', outputs.flow)
    return CameraRow(
        camera,
        image=decode_image(inputs.message(topic, stamp)),
        depth=found('depth/image_rect', outputs.depth),
        confidence=found('depth/confidence', outputs.confidence),
        label=found('labels', outputs.labels),
        flow=None if flow is None else flow.flow,
    )


def _tree(outputs: RecordedOutputs) -> TransformTree:
    tree = TransformTree()
    for static in (True, False):
        for edge in outputs.transforms(static):
            tree.set(edge.parent, edge.child, edge.parent_from_child, edge.stamp, static)
    return tree


def _cloud(
    outputs: RecordedOutputs, stamps: Mapping[str, int | None], tree: TransformTree
) -> CloudView | None:
    """The fused cloud of the instant, with the cameras in its frame."""
    instants = [stamp for stamp in stamps.values() if stamp is not None]
    fitting = [
        stamp
        for stamp in outputs.stamps('points')
        if instants and abs(stamp - instants[0]) <= INSTANT
    ]
    if not fitting:
        return None
    cloud = outputs.cloud('points', fitting[0])
    viewpoints = []
    for camera, stamp in stamps.items():
        topic = f'{camera}/depth/image_rect'
        if stamp is None or stamp not in outputs.stamps(topic):
            continue
        frame = outputs.message(topic, stamp).header.frame_id
        try:
            pose = tree.lookup(cloud.frame_id, frame, stamp)
        except TransformError:
            continue  # drawn without its camera
        viewpoints.append(Viewpoint(outputs.depth_camera(camera, stamp), pose))
    xyz = cloud.cloud.xyz.reshape(-1, 3)
    return CloudView(xyz, cloud.cloud.rgb.reshape(-1, 3), viewpoints)


def _trajectory(
    outputs: RecordedOutputs, recording: SyntheticRecording | None
) -> Trajectory | None:
    """Positions of the odometry; the truth is laid onto its first pose."""
    stamps = outputs.stamps('odometry')
    if not stamps:
        return None
    poses = np.array([outputs.odometry(stamp).pose for stamp in stamps])
    truth = None
    if recording is not None:
        true = np.array([recording.world_from_base(stamp) for stamp in stamps])
        truth = (poses[0] @ invert(true[0]) @ true)[:, :3, 3]
    return Trajectory(poses[:, :3, 3], truth)

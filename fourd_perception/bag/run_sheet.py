"""The contact sheet of one replay, from its recorded outputs and the recording it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
from fourd_perception.bag.outputs import RecordedOutputs
from fourd_perception.evaluation.report import is_metric, notices
from fourd_perception.geometry.alignment import umeyama
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.transform_tree import TransformError, TransformTree
from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.viz.contact_sheet import CameraRow, contact_sheet
from fourd_perception.viz.plan import CloudView, Trajectory, Viewpoint
from fourd_perception.wire.camera_info import camera_from_info
from fourd_perception.wire.images import decode_image
import numpy as np

# Nanoseconds within which frames of several cameras count as one instant: the node's sync_slop.
INSTANT = 20_000_000


def draw_sheet(
    path: Path,
    outputs: RecordedOutputs,
    inputs: RecordedOutputs,
    run: Mapping[str, Any],
    recording: SyntheticRecording | None,
) -> None:
    """Write a PNG of the newest instant of which everything is recorded, flow included.

    inputs: the recording that was played; run: content of `run.yaml`
    recording: the truth, where it is known and comparable
    """
    parameters = run['parameters']
    cameras = parameters['cameras']
    stamps = {name: _instant(outputs, name) for name in cameras}
    rows = [
        _row(name, stamp, outputs, inputs, parameters)
        for name, stamp in stamps.items()
        if stamp is not None
    ]
    title = f'{Path(run["bag"]).name} through the node, weights {parameters["weights"]}'
    sheet = contact_sheet(
        rows or [CameraRow(name) for name in cameras],
        _cloud(outputs, stamps, _tree(outputs)),
        _trajectory(outputs, recording, is_metric(run)),
        title,
        '\n'.join(notice.partition(';')[0] for notice in notices(run)),
        unit='m' if is_metric(run) else 'units',
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
    camera: str,
    stamp: int,
    outputs: RecordedOutputs,
    inputs: RecordedOutputs,
    parameters: Mapping[str, Any],
) -> CameraRow:
    def input_message(kind: str) -> Any:
        topic = parameters[kind].replace('{camera}', camera).lstrip('/')
        return inputs.message(topic, stamp)

    part: tuple[slice, ...] = (slice(None), slice(None))
    if stamp in outputs.stamps(f'{camera}/depth/camera_info'):
        given = camera_from_info(input_message('camera_info_topic'), camera)
        part = _without_padding(outputs.depth_camera(camera, stamp), given)

    def found(topic: str, read: Callable[[str, int], Any]) -> Any:
        known = stamp in outputs.stamps(f'{camera}/{topic}')
        return read(camera, stamp)[part] if known else None

    return CameraRow(
        camera,
        image=decode_image(input_message('image_topic')),
        depth=found('depth/image_rect', outputs.depth),
        confidence=found('depth/confidence', outputs.confidence),
        label=found('labels', outputs.labels),
        flow=found('flow', lambda name, stamp: outputs.flow(name, stamp).flow),
    )


def _without_padding(published: CameraModel, given: CameraModel) -> tuple[slice, slice]:
    """Rows and columns of a published image that show the input image."""
    if published.intrinsics is None or given.intrinsics is None:
        return slice(None), slice(None)
    found = []
    for axis, size in ((1, given.height), (0, given.width)):
        scale = published.intrinsics[axis, axis] / given.intrinsics[axis, axis]
        centre, given_centre = published.intrinsics[axis, 2], given.intrinsics[axis, 2]
        first = centre + 0.5 - (given_centre + 0.5) * scale
        found.append(slice(max(round(first), 0), round(first + size * scale)))
    return found[0], found[1]


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
    outputs: RecordedOutputs, recording: SyntheticRecording | None, metric: bool
) -> Trajectory | None:
    """Positions of the odometry; the truth is laid onto its first pose, or in its unit on all."""
    stamps = outputs.stamps('odometry')
    if not stamps:
        return None
    poses = np.array([outputs.odometry(stamp).pose for stamp in stamps])
    if recording is None:
        return Trajectory(poses[:, :3, 3])
    true = np.array([recording.world_from_base(stamp) for stamp in stamps])
    if metric:
        return Trajectory(poses[:, :3, 3], (poses[0] @ invert(true[0]) @ true)[:, :3, 3])
    try:
        aligned = umeyama(true[:, :3, 3], poses[:, :3, 3])
    except ValueError:  # all on one line
        return Trajectory(poses[:, :3, 3])
    return Trajectory(poses[:, :3, 3], aligned.apply(true[:, :3, 3]))

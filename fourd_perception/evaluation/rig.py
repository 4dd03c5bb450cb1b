"""Transforms, poses and stamps of the whole rig against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fourd_perception.evaluation.checks import Check, Faults, Worst
from fourd_perception.evaluation.outputs import Outputs
from fourd_perception.evaluation.trajectory import (
    absolute_trajectory_error,
    pose_errors,
    relative_pose_error,
)
from fourd_perception.evaluation.true_images import place
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.transform_tree import TransformError, TransformTree
from fourd_perception.synthetic.recording import SyntheticRecording
import numpy as np

MILLIMETRES = 1e3


def score_transforms(outputs: Outputs, recording: SyntheticRecording, world: str) -> list[Check]:
    """Camera poses through the recorded TF tree, at every stamp of the node's transforms.

    The first pose of the first camera is aligned: where the world begins is the node's choice.
    world: name of the node's world frame.
    """
    distance = Worst('camera poses in TF: distance', 'mm', 1.0)
    angle = Worst('camera poses in TF: angle', 'deg', 0.01)
    truth_from_world: np.ndarray | None = None
    for name, stamp, found in _looked_up(outputs, recording, world):
        if found is None:
            continue
        truth = recording.world_from_camera(name, stamp)
        if truth_from_world is None:
            truth_from_world = truth @ invert(found)
        metres, degrees = pose_errors((truth_from_world @ found)[None], truth[None])
        distance.add(MILLIMETRES * metres, place(name, stamp))
        angle.add(degrees, place(name, stamp))
    return [distance.check(), angle.check(), *score_trajectory(outputs, recording, world)]


def score_trajectory(outputs: Outputs, recording: SyntheticRecording, world: str) -> list[Check]:
    """What can be told of poses in TF in any scale: they are there, and the path has its shape."""
    missing = Faults('camera poses in TF: not to be looked up', 'poses')
    first = next(iter(recording.cameras))
    trajectory: list[tuple[np.ndarray, np.ndarray]] = []
    for name, stamp, found in _looked_up(outputs, recording, world):
        missing.add(found is None, 1, place(name, stamp))
        if found is not None and name == first:
            trajectory.append((found, recording.world_from_camera(name, stamp)))
    return [missing.check(), _parents(outputs), *_trajectory_checks(trajectory)]


def score_poses(outputs: Outputs, recording: SyntheticRecording) -> list[Check]:
    """The pose topics of all cameras, the first pose aligned."""
    distance = Worst('pose topics: distance', 'mm', 1.0)
    angle = Worst('pose topics: angle', 'deg', 0.01)
    truth_from_world: np.ndarray | None = None
    for name in recording.cameras:
        for stamp in outputs.stamps(f'{name}/pose'):
            found, truth = outputs.pose(name, stamp), recording.world_from_camera(name, stamp)
            if truth_from_world is None:
                truth_from_world = truth @ invert(found)
            metres, degrees = pose_errors((truth_from_world @ found)[None], truth[None])
            distance.add(MILLIMETRES * metres, place(name, stamp))
            angle.add(degrees, place(name, stamp))
    return [distance.check(), angle.check()]


def score_stamps(outputs: Outputs, recording: SyntheticRecording) -> Check:
    """Every stamp of every output is, to the nanosecond, that of an image of its camera."""
    faults = Faults('stamps that no input image has', 'messages')
    rig_wide = {stamp for name in recording.cameras for stamp in recording.stamps(name)}
    for topic in outputs.topics:
        owner = next((n for n in recording.cameras if topic.startswith(f'{n}/')), None)
        known = set(recording.stamps(owner)) if owner else rig_wide
        for stamp in outputs.stamps(topic):
            faults.add(stamp not in known, 1, place(topic, stamp))
    return faults.check()


def _looked_up(
    outputs: Outputs, recording: SyntheticRecording, world: str
) -> Iterator[tuple[str, int, np.ndarray | None]]:
    """Camera, stamp and world_from_camera [4, 4], at every stamp of the node's transforms.

    None where the tree does not lead from the world to the camera.
    """
    tree, moving = _tree(outputs)
    for camera in recording.cameras.values():
        for stamp in _stamps_below(world, camera.frame_id, tree, moving):
            try:
                yield camera.name, stamp, tree.lookup(world, camera.frame_id, stamp)
            except TransformError:
                yield camera.name, stamp, None


def _tree(outputs: Outputs) -> tuple[TransformTree, dict[tuple[str, str], list[int]]]:
    """The recorded tree, and the stamps of every moving edge."""
    tree = TransformTree()
    for edge in outputs.transforms(static=True):
        tree.set(edge.parent, edge.child, edge.parent_from_child, edge.stamp, static=True)
    moving: dict[tuple[str, str], list[int]] = {}
    for edge in outputs.transforms():
        tree.set(edge.parent, edge.child, edge.parent_from_child, edge.stamp, static=False)
        moving.setdefault((edge.parent, edge.child), []).append(edge.stamp)
    return tree, moving


def _stamps_below(
    world: str, frame: str, tree: TransformTree, moving: dict[tuple[str, str], list[int]]
) -> Iterable[int]:
    """Stamps of the edge that ties the world to the tree of a frame, whichever way it points."""
    ancestors = {frame}
    while (parent := tree.parent_of(frame)) is not None:
        frame = parent
        ancestors.add(frame)
    return sorted(
        stamp
        for (parent, child), stamps in moving.items()
        if (parent == world and child in ancestors) or (child == world and parent in ancestors)
        for stamp in stamps
    )


def _parents(outputs: Outputs) -> Check:
    faults = Faults('frames with more than one parent in TF', 'frames')
    parents: dict[str, set[str]] = {}
    for edge in [*outputs.transforms(static=True), *outputs.transforms()]:
        parents.setdefault(edge.child, set()).add(edge.parent)
    for child, names in parents.items():
        faults.add(len(names) > 1, 1, f'{child} below {", ".join(sorted(names))}')
    return faults.check()


def _trajectory_checks(trajectory: list[tuple[np.ndarray, np.ndarray]]) -> list[Check]:
    """ATE and RPE of the first camera, where its places fix an alignment."""
    if len(trajectory) < 3:
        return []
    found, truth = (np.array(poses) for poses in zip(*trajectory))
    try:
        metres, degrees = relative_pose_error(found, truth)
        ate = MILLIMETRES * absolute_trajectory_error(found, truth)
    except ValueError:  # all on one line, as of a network that knows no motion
        return []
    count = len(trajectory)
    return [
        Check('trajectory: ATE after Sim(3) alignment', ate, 'mm', None, count),
        Check('trajectory: RPE, translation', MILLIMETRES * metres, 'mm', None, count),
        Check('trajectory: RPE, rotation', degrees, 'deg', None, count),
    ]

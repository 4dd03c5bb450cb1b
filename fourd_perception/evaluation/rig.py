"""Transforms, poses, fused clouds and stamps of the whole rig against the truth."""

from __future__ import annotations

from collections.abc import Iterable

from fourd_perception.evaluation.checks import Check, Faults, Worst
from fourd_perception.evaluation.images import place
from fourd_perception.evaluation.outputs import Outputs
from fourd_perception.evaluation.trajectory import (
    absolute_trajectory_error,
    pose_errors,
    relative_pose_error,
)
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.transform_tree import TransformError, TransformTree
from fourd_perception.synthetic.recording import SyntheticRecording
import numpy as np

MILLIMETRES = 1e3
FUSED = ('points', 'points_static', 'points_dynamic')


def score_transforms(outputs: Outputs, recording: SyntheticRecording, world: str) -> list[Check]:
    """Camera poses through the recorded TF tree, at every stamp of the node's transforms.

    The first pose of the first camera is aligned: where the world begins is the node's choice.
    world: name of the node's world frame.
    """
    tree, moving = _tree(outputs)
    distance = Worst('camera poses in TF: distance', 'mm', 1.0)
    angle = Worst('camera poses in TF: angle', 'deg', 0.01)
    missing = Faults('camera poses in TF: not to be looked up', 'poses')
    truth_from_world: np.ndarray | None = None
    trajectory: list[tuple[np.ndarray, np.ndarray]] = []
    for number, camera in enumerate(recording.cameras.values()):
        for stamp in _stamps_below(world, camera.frame_id, tree, moving):
            where = place(camera.name, stamp)
            try:
                found = tree.lookup(world, camera.frame_id, stamp)
            except TransformError:
                missing.add(1, 1, where)
                continue
            missing.add(0, 1, where)
            truth = recording.world_from_camera(camera.name, stamp)
            if truth_from_world is None:
                truth_from_world = truth @ invert(found)
            metres, degrees = pose_errors((truth_from_world @ found)[None], truth[None])
            distance.add(MILLIMETRES * metres, where)
            angle.add(degrees, where)
            if number == 0:
                trajectory.append((found, truth))
    tallies = [distance.check(), angle.check(), missing.check(), _parents(outputs)]
    return tallies + _trajectory_checks(trajectory)


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


def score_fused(
    outputs: Outputs, recording: SyntheticRecording, base: str, margin: int
) -> list[Check]:
    """Fused clouds in the base frame: every point on a surface, none of a mover among the static.

    base:   name of the rig's base frame
    margin: as of `ImageScorer`; points do not tell how near to an edge their pixels were, so where
            edges do not count there is no limit
    Raises ValueError for clouds in another frame.
    """
    limit = 1.0 if margin == 0 else None
    surface = Worst('fused clouds: farthest from a surface', 'mm', limit)
    static = Faults('points_static: points of movers', 'points')
    dynamic = Faults('points_dynamic: points of what never moves', 'points')
    for topic in FUSED:
        for stamp in outputs.stamps(topic):
            found = outputs.cloud(topic, stamp)
            if found.frame_id != base:
                raise ValueError(
                    f'{topic} is in frame {found.frame_id!r}; only clouds in {base!r} are scored'
                )
            pose = recording.world_from_base(stamp)
            points = found.cloud.xyz.reshape(-1, 3).astype(float) @ pose[:3, :3].T + pose[:3, 3]
            distance, mover = recording.surfaces(points, stamp)
            surface.add(MILLIMETRES * distance, place(topic, stamp))
            if topic == 'points_static':
                static.add(int(mover.sum()), len(mover), place(topic, stamp))
            if topic == 'points_dynamic':
                dynamic.add(int((~mover).sum()), len(mover), place(topic, stamp))
    return [surface.check(), static.check(), dynamic.check()]


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
    """ATE and RPE of the first camera, where there are enough poses."""
    if len(trajectory) < 3:
        return []
    found, truth = (np.array(poses) for poses in zip(*trajectory))
    metres, degrees = relative_pose_error(found, truth)
    count = len(trajectory)
    ate = MILLIMETRES * absolute_trajectory_error(found, truth)
    return [
        Check('trajectory: ATE after Sim(3) alignment', ate, 'mm', None, count),
        Check('trajectory: RPE, translation', MILLIMETRES * metres, 'mm', None, count),
        Check('trajectory: RPE, rotation', degrees, 'deg', None, count),
    ]

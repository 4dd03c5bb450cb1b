"""Which transforms the node may broadcast: never a second parent (design section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fourd_perception.engine.scene_update import SceneUpdate
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.transform_tree import TransformError, TransformTree
from fourd_perception.ros.settings import Settings
from fourd_perception.wire.transforms import Edge
import numpy as np


@dataclass(frozen=True)
class TfPlan:
    """What is broadcast.

    mode:   `cameras`, `base`, `odom` or `none`
    frames: the frames whose pose in the world is broadcast: of cameras, base, or base's root
    reason: why this mode, in plain words
    error:  whether `reason` is something to put right
    """

    mode: str
    frames: tuple[str, ...] = ()
    reason: str = ''
    error: bool = False


def plan_tf(settings: Settings, cameras: Mapping[str, str], tree: TransformTree) -> TfPlan:
    """What to broadcast, given the cameras' frames (by name) and the transforms of others."""
    base, world = settings.base_frame, settings.world_frame
    if settings.fixed_frame:
        return TfPlan('none', reason=f'the cameras stand still in {settings.fixed_frame}')
    if settings.tf_mode == 'none':
        return TfPlan('none', reason='tf.mode is none')
    nameless = [camera for camera, frame in cameras.items() if not frame]
    if nameless:
        return _stop(f'images of {", ".join(nameless)} have no frame_id; set it in their driver')
    frames = tuple(cameras.values())
    astray = [frame for frame in frames if not _connected(tree, base, frame)]
    mode = settings.tf_mode
    if mode == 'auto' and not astray:
        mode = 'base' if tree.parent_of(base) is None else 'odom'
    elif mode == 'auto' and any(tree.parent_of(frame) for frame in frames):
        return _stop(
            f'{", ".join(astray)} not connected to {base}, yet some camera frames have a parent; '
            'complete the tree, or set frames.base or tf.mode'
        )
    elif mode == 'auto':
        mode = 'cameras'
    ours = {'cameras': frames, 'base': (base,), 'odom': (tree.root_of(base),)}[mode]
    plan = TfPlan(mode, ours, f'{world} -> {", ".join(ours)}')
    return conflict(plan, settings, tree) or plan


def conflict(plan: TfPlan, settings: Settings, tree: TransformTree) -> TfPlan | None:
    """The plan that stops the broadcast, where it would give a frame a second parent or a loop."""
    world = settings.world_frame
    if settings.tf_invert and len(plan.frames) > 1:
        return _stop(
            f'tf.invert would give {world} {len(plan.frames)} parents; set tf.mode to base or '
            'odom, or tf.invert to false'
        )
    for frame in plan.frames:
        child = world if settings.tf_invert else frame
        parent = tree.parent_of(child)
        if parent is not None:
            return _stop(
                f'{child} has the parent {parent} from another broadcaster, so nothing is '
                f'broadcast (tf.mode {plan.mode}); stop the other one, or set tf.mode, tf.invert '
                'or frames.world'
            )
        if _connected(tree, world, frame):
            return _stop(
                f'{world} and {frame} are connected by another broadcaster already; '
                'set frames.world to a name of its own'
            )
    return None


def tf_edges(
    plan: TfPlan, update: SceneUpdate, settings: Settings, tree: TransformTree
) -> list[Edge]:
    """The edges of one update; none where the poses are not known.

    Raises TransformError in mode `odom` while TF has not told where base is in its root.
    """
    edges = [
        Edge(settings.world_frame, frame, pose, stamp)
        for frame, pose, stamp in _poses(plan, update, settings, tree)
    ]
    if not settings.tf_invert:
        return edges
    return [Edge(e.child, e.parent, invert(e.parent_from_child), e.stamp) for e in edges]


def _poses(
    plan: TfPlan, update: SceneUpdate, settings: Settings, tree: TransformTree
) -> list[tuple[str, np.ndarray, int]]:
    """(frame, world_from_frame, stamp) of what is known."""
    if plan.mode == 'cameras':
        return [
            (camera.input.frame_id, camera.world_from_camera, camera.frame.stamp)
            for camera in update.cameras.values()
            if camera.world_from_camera is not None and camera.input.frame_id in plan.frames
        ]
    if plan.mode == 'none' or not update.rig_known or update.world_from_base is None:
        return []
    stamp, (frame,) = update.slice.stamp, plan.frames
    if plan.mode == 'base':
        return [(frame, update.world_from_base, stamp)]
    base_from_root = tree.lookup(settings.base_frame, frame, stamp)
    return [(frame, update.world_from_base @ base_from_root, stamp)]


def _stop(reason: str) -> TfPlan:
    return TfPlan('none', reason=reason, error=True)


def _connected(tree: TransformTree, target: str, source: str) -> bool:
    try:
        tree.lookup(target, source, None)
    except TransformError:
        return False
    return True

"""Point clouds: one per camera, organised, and those fused over the rig on one voxel grid."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.engine.scene_update import CameraUpdate, Label, Output, SceneUpdate
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.projection import transform_points, unproject
import numpy as np

HALF_RANGE = 1 << 19  # voxels each way from the origin: 26 km at 5 cm


@dataclass(frozen=True, eq=False)
class Cloud:
    """xyz: float32 [..., 3], metres (gauge units when the scale is none); rgb: uint8 [..., 3]."""

    xyz: np.ndarray
    rgb: np.ndarray


def camera_cloud(camera: CameraUpdate) -> Cloud:
    """Organised cloud [h, w] in the optical frame, pixel-aligned with depth; NaN invalid.

    Raises ValueError when the update was made without depth or without colour.
    """
    if camera.depth is None or camera.colour is None or camera.output.intrinsics is None:
        raise ValueError(
            f'{camera.output.name}: a cloud needs depth, colour and intrinsics; ask the engine '
            'for Output.CAMERA_POINTS, and allow unscaled output where there is no metric scale'
        )
    return Cloud(unproject(camera.depth, camera.output.intrinsics), camera.colour)


def fused_clouds(
    update: SceneUpdate, frame: str, voxel: float, kinds: frozenset[Output]
) -> dict[Output, Cloud]:
    """The clouds of `kinds` among `points`, `points_static` and `points_dynamic`, [N, 3] each.

    frame: `base` (at the reference stamp) or `world`
    voxel: edge of the voxels, metres; they are aligned with the axes of the frame

    Every point is one that a camera saw: of the points of a label in a voxel the first, in camera
    and row order, stands for all; of the labels in a voxel the lowest, so `points` holds what is
    static, then what moves, then what is unknown. Cameras without depth or pose add nothing.
    """
    if voxel <= 0:
        raise ValueError(f'voxel size {voxel} m: give a size above 0')
    xyz, rgb, label = _points(update, _frame_from_world(update, frame))
    first_of_voxel, first_of_label = voxel_picks(xyz, label, voxel)
    picks = {
        Output.POINTS: first_of_voxel,
        Output.POINTS_STATIC: first_of_label[label[first_of_label] == Label.STATIC],
        Output.POINTS_DYNAMIC: first_of_label[label[first_of_label] == Label.DYNAMIC],
    }
    return {kind: Cloud(xyz[pick], rgb[pick]) for kind, pick in picks.items() if kind in kinds}


def voxel_picks(xyz: np.ndarray, label: np.ndarray, voxel: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the points [N, 3] that stand for their voxel, and for their voxel and label.

    label: uint8 [N], 0..3. Points more than `HALF_RANGE` voxels from the origin stand for none.
    """
    cells = np.floor(xyz / np.float32(voxel))
    inside = np.flatnonzero((np.abs(cells) < HALF_RANGE).all(axis=1))
    cells = cells[inside].astype(np.int64) + HALF_RANGE
    key = cells[:, 0] << 42 | cells[:, 1] << 22 | cells[:, 2] << 2 | label[inside]
    order = np.argsort(key, kind='stable')
    key = key[order]
    new_label = np.diff(key, prepend=-1) != 0
    new_voxel = np.diff(key >> 2, prepend=-1) != 0
    return inside[order[new_voxel]], inside[order[new_label]]


def _points(
    update: SceneUpdate, frame_from_world: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Xyz [N, 3], rgb [N, 3] and label [N] of all valid points, camera after camera."""
    xyz = [np.empty((0, 3), np.float32)]
    rgb = [np.empty((0, 3), np.uint8)]
    label = [np.empty(0, np.uint8)]
    for camera in update.cameras.values():
        if camera.depth is None or camera.world_from_camera is None:
            continue
        cloud = camera_cloud(camera)
        valid = np.isfinite(camera.depth)
        place = frame_from_world @ camera.world_from_camera
        xyz.append(transform_points(place, cloud.xyz[valid]))
        rgb.append(cloud.rgb[valid])
        if camera.label is None:
            label.append(np.full(len(xyz[-1]), Label.UNKNOWN, np.uint8))
        else:
            label.append(camera.label[valid])
    return np.concatenate(xyz), np.concatenate(rgb), np.concatenate(label)


def _frame_from_world(update: SceneUpdate, frame: str) -> np.ndarray:
    if frame == 'world':
        return np.eye(4)
    if frame != 'base':
        raise ValueError(f'cloud frame {frame!r}: give base or world')
    if update.world_from_base is None:
        raise ValueError('the update has no pose; clouds in the base frame need one')
    return invert(update.world_from_base)

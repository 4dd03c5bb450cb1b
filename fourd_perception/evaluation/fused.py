"""Fused clouds against the truth."""

from __future__ import annotations

from collections.abc import Sequence

from fourd_perception.evaluation.checks import Check, Faults, Worst
from fourd_perception.evaluation.true_images import place, Seen, TrueImages
from fourd_perception.geometry.clips import STATIC
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.pinhole import pixels_of, project
import numpy as np

MILLIMETRES = 1e3
# Metres within which a point lies on a surface: the limit of organised clouds.
ON_SURFACE = 1e-3
FUSED = ('points', 'points_static', 'points_dynamic')


def score_fused(images: TrueImages, slices: Sequence[Sequence[Seen]], base: str) -> list[Check]:
    """Fused clouds in the base frame: every point on a surface, none of a mover among the static.

    slices: what was inferred
    base:   name of the rig's base frame
    A mover that shows less than 0.3 px of motion in the whole window is static by definition
    (`dynamic_label`); its points are counted by themselves. Points do not tell how near to an edge
    their pixels were, so where edges do not count there is no limit for distances. Raises
    ValueError for clouds in another frame.
    """
    outputs, recording = images.outputs, images.recording
    limit = 1.0 if images.margin == 0 else None
    surface = Worst('fused clouds: farthest from a surface', 'mm', limit)
    static = Faults('points_static: points of movers', 'points')
    dynamic = Faults('points_dynamic: points of what never moves', 'points')
    resting = compared = 0
    slice_of = {seen.stamp: one for one in slices for seen in one}
    for topic in FUSED:
        for stamp in outputs.stamps(topic):
            found = outputs.cloud(topic, stamp)
            if found.frame_id != base:
                raise ValueError(
                    f'{topic} is in frame {found.frame_id!r}; only clouds in {base!r} are scored'
                )
            pose, where = recording.world_from_base(stamp), place(topic, stamp)
            points = found.cloud.xyz.reshape(-1, 3).astype(float) @ pose[:3, :3].T + pose[:3, 3]
            distance, mover = recording.surfaces(points, stamp)
            surface.add(MILLIMETRES * distance, where)
            if topic == 'points_static':
                # A point between two surfaces, interpolated over an edge, is of neither.
                mover &= distance < ON_SURFACE
                still = int(_rests(points[mover], slice_of.get(stamp, ()), images).sum())
                static.add(int(mover.sum()) - still, len(mover), where)
                resting, compared = resting + still, compared + len(mover)
            if topic == 'points_dynamic':
                dynamic.add(int((~mover).sum()), len(mover), where)
    below = Check('points_static: points of movers that rest', resting, 'points', None, compared)
    return [surface.check(), static.check(), below, dynamic.check()]


def _rests(points: np.ndarray, cameras: Sequence[Seen], images: TrueImages) -> np.ndarray:
    """Bool [N]: whether a camera sees the point, [N, 3] in the world, and sees it rest."""
    rests = np.zeros(len(points), bool)
    for seen in cameras if len(points) else ():
        camera = images.outputs.depth_camera(seen.camera, seen.stamp)
        pose = images.recording.world_from_camera(seen.camera, seen.stamp)
        rays = project(invert(pose), points.T)
        pixels = np.nan_to_num(np.rint(pixels_of(camera, rays[:2])), nan=-1.0).astype(int)
        size = np.array([[camera.width], [camera.height]])
        inside = np.flatnonzero(((pixels >= 0) & (pixels < size)).all(axis=0))
        x, y = pixels[:, inside]
        label = dynamic_label(images.own_motion(camera, seen.stamp, seen.others))
        depth = images.recording.depth(camera, seen.stamp)
        visible = np.abs(depth[y, x] - rays[2, inside]) < 0.01
        rests[inside] |= visible & (label[y, x] == STATIC)
    return rests

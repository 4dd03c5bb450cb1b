"""The newest poses of a window, each body's from its motion as depth and flow show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fourd_perception.engine.scene_update import PoseSource, Scale
from fourd_perception.engine.window_prediction import CellKey, WindowPrediction
from fourd_perception.geometry.pose_from_flow import refusal, solve_motion
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.sightings import on_one_body
import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class ChainedPoses:
    """The cells of a window in the continuous world.

    world_from_camera: float64 [N, 4, 4]
    world_from_base:   float64 [4, 4] at the newest instant, see `WorldPoses`; None where unknown
    gathered:          float64 [6, 6], covariance that the windows so far have gathered
    covariance:        float64 [6, 6] of `world_from_base`
    source:            where its newest motion comes from
    """

    world_from_camera: np.ndarray
    world_from_base: np.ndarray | None
    gathered: np.ndarray
    covariance: np.ndarray
    source: PoseSource


@dataclass(frozen=True, eq=False)
class Body:
    """What moves rigidly between the two newest slices: the rig, or a camera without known place.

    older, newer: int [n], cells in the two slices of the cameras that saw both
    newest:       int [m], all its cells in the newest slice
    """

    older: np.ndarray
    newer: np.ndarray
    newest: np.ndarray


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of a body, in the world's unit.

    older_from_newer: float64 [4, 4]
    covariance:       float64 [6, 6] of it: translation, rotation, along the axes of the older body
    refusal:          why it could not be solved; empty when it could, else the rest means nothing
    """

    older_from_newer: np.ndarray
    covariance: np.ndarray
    refusal: str


def with_solved_motions(
    window: WindowPrediction,
    head: ChainedPoses,
    before: Mapping[CellKey, np.ndarray],
    gathered: np.ndarray,
    scale: Scale,
    rig_known: bool,
) -> ChainedPoses:
    """The newest poses as solved motions lead to them, where they can be solved.

    head:     the window by the poses that the network predicts; stays where nothing is solved
    before:   poses of cells of the window before, which are kept
    gathered: covariance of the chain up to the slice before
    """
    poses = head.world_from_camera.copy()
    for cell, key in enumerate(window.keys):
        poses[cell] = before.get(key, poses[cell])
    found = replace(
        head, world_from_camera=poses, source=PoseSource('head', 'no camera saw both slices')
    )
    unsolved = []
    for body in moving_bodies(window, before):
        motion = solve_body(window, body, head.world_from_camera, scale)
        if motion.refusal:
            unsolved.append(f'{window.keys[body.newer[0]][0]}: {motion.refusal}')
            continue
        older = poses[body.older[0]] @ invert(places(window, body.older)[0])
        newer = older @ motion.older_from_newer
        poses[body.newest] = newer @ places(window, body.newest)
        leads = window.view[body.newest] == window.reference
        if body.newer[0] in window.posed if rig_known else leads.any():
            known = carried_on(gathered, older, motion)
            found = replace(
                found,
                world_from_base=newer,
                gathered=known,
                covariance=known,
                source=PoseSource('solved'),
            )
    if unsolved:
        found = replace(found, source=replace(found.source, reason='; '.join(unsolved)))
    return found


def moving_bodies(window: WindowPrediction, before: Mapping[CellKey, np.ndarray]) -> list[Body]:
    """Bodies with cells in the newest slice and, in `before`, in the one before it."""
    older_of = {
        int(window.view[cell]): int(cell)
        for cell in np.flatnonzero(window.time == window.newest - 1)
        if window.keys[cell] in before
    }
    newest = np.flatnonzero(window.time == window.newest)
    posed = np.isin(newest, window.posed)
    groups = [newest[posed], *newest[~posed, None]]
    bodies = []
    for cells in groups:
        on_rig = cells[:1] in window.posed
        pairs = [
            (older_of[view], cell)
            for view, cell in zip(window.view[cells].tolist(), cells.tolist())
            if view in older_of and (not on_rig or older_of[view] in window.posed)
        ]
        if pairs:
            older, newer = np.array(pairs).T
            bodies.append(Body(older, newer, cells))
    return bodies


def places(window: WindowPrediction, cells: np.ndarray) -> np.ndarray:
    """float64 [n, 4, 4]: body from camera; a camera without known place is a body of its own."""
    place = window.base_from_camera[cells]
    return np.where(np.isfinite(place).all(axis=(1, 2))[:, None, None], place, np.eye(4))


def solve_body(
    window: WindowPrediction, body: Body, world_from_camera: np.ndarray, scale: Scale
) -> Motion:
    """The motion of a body, starting from where the predicted poses [N, 4, 4] lead.

    The spread of the scale joins the covariance.
    """
    assert window.sightings is not None
    was, now = places(window, body.older), places(window, body.newer)
    views = window.view[body.newer].tolist()
    older, newer = (
        replace(sighted, depth=sighted.depth * scale.value)
        for sighted in (
            on_one_body(window.sightings[0], views, was, now),
            on_one_body(window.sightings[1], views, now, was),
        )
    )
    first, second = body.older[0], body.newer[0]
    start = was[0] @ invert(world_from_camera[first]) @ world_from_camera[second] @ invert(now[0])
    solved = solve_motion(older, torch.from_numpy(start)[None].to(older.depth.device), newer)
    motion, covariance = (
        part[0].cpu().numpy() for part in (solved.older_from_newer, solved.covariance)
    )
    if scale.metric:
        shift = scale.spread * motion[:3, 3]
        covariance[:3, :3] += np.outer(shift, shift)
    return Motion(motion, covariance, refusal(solved, 0))


def carried_on(covariance: np.ndarray, world_from_older: np.ndarray, motion: Motion) -> np.ndarray:
    """float64 [6, 6] of the newer pose of a body, from that of its older one.

    Poses have errors of position and rotation along the axes of the world. An error of rotation
    swings the translation that follows it.
    """
    turn = world_from_older[:3, :3]
    x, y, z = turn @ motion.older_from_newer[:3, 3]
    swing = np.eye(6)
    swing[:3, 3:] = [[0, z, -y], [-z, 0, x], [y, -x, 0]]
    turned = np.kron(np.eye(2), turn)
    return swing @ covariance @ swing.T + turned @ motion.covariance @ turned.T

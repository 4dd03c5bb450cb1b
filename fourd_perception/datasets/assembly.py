"""Raw frames of a window to one clip: one size, poses from the first camera, labels derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fourd_perception.datasets.raw_frame import fitted, RawFrame
from fourd_perception.datasets.window_motion import with_dynamic
from fourd_perception.datasets.window_occlusion import with_occlusion
from fourd_perception.geometry.clips import Clips, unlabelled
from fourd_perception.geometry.poses import invert
from fourd_perception.geometry.projection import transform_points
from fourd_perception.geometry.track_pixels import inside, track_pixels
import numpy as np
import torch

_MAPS = ('intrinsics', 'world_from_camera', 'depth', 'dynamic', 'instances')


def assemble(
    frames: Sequence[Sequence[RawFrame]],
    size: tuple[int, int],
    views: int,
    place: tuple[float, float] = (0.5, 0.5),
    adjacent: bool = True,
) -> Clips:
    """One clip [1, views, T] of the frames [V][T], V <= views, with all their tracks, of one N.

    size:     (height, width) of the clip; place: see `fitted`
    views:    views that no frames are given for are absent
    adjacent: the instants are neighbours in the recording, so that its flow leads from one to
              the next; otherwise flow stays unknown

    The world is the first posed frame's camera. Labels of motion are in pixels of this size.
    """
    world = _first_pose(frames)
    instants = len(frames[0])
    clips = unlabelled(torch.zeros(1, views, instants, 3, *size, dtype=torch.uint8))
    clips.present[:, len(frames) :] = False
    for view, row in enumerate(frames):
        for instant, frame in enumerate(row):
            small = fitted(_relative(frame, world), size, place)
            _fill(clips, view, instant, small)
            if adjacent and instant + 1 < instants:
                _fill_flow(clips, 'forward', view, instant, small)
            if adjacent and instant > 0:
                _fill_flow(clips, 'backward', view, instant, small)
    followed = not any(frame.ego_flow for row in frames for frame in row)
    return with_dynamic(with_occlusion(_with_tracks(clips, frames, world)), followed)


def _first_pose(frames: Sequence[Sequence[RawFrame]]) -> np.ndarray:
    """The first pose that is known, float64 [4, 4]; the identity where none is."""
    poses = [frame.world_from_camera for view in frames for frame in view]
    known = [pose for pose in poses if pose is not None and np.isfinite(pose).all()]
    return np.asarray(known[0], float) if known else np.eye(4)


def _relative(frame: RawFrame, world: np.ndarray) -> RawFrame:
    if frame.world_from_camera is None:
        return frame
    # In float64: some sets' worlds are kilometres wide.
    return replace(frame, world_from_camera=invert(world) @ frame.world_from_camera)


def _fill(clips: Clips, view: int, instant: int, frame: RawFrame) -> None:
    """Write a frame of the clip's size into its cell, but for flow and tracks."""
    cell = 0, view, instant
    clips.images[cell] = torch.from_numpy(frame.image).movedim(-1, 0)
    clips.seconds[cell] = frame.seconds
    for name in _MAPS:
        value = getattr(frame, name)
        if value is not None:
            getattr(clips, name)[cell] = torch.from_numpy(value)


def _fill_flow(clips: Clips, way: str, view: int, instant: int, frame: RawFrame) -> None:
    """Write the flow of a frame, `forward` or `backward`, into its cell."""
    cell = 0, view, instant
    flow, occluded = getattr(frame, f'flow_{way}'), getattr(frame, f'occluded_{way}')
    if flow is not None:
        getattr(clips, f'flow_{way}')[cell] = torch.from_numpy(flow).movedim(-1, 0)
    if occluded is not None:
        getattr(clips, f'occluded_{way}')[cell] = torch.from_numpy(occluded)


def _with_tracks(clips: Clips, frames: Sequence[Sequence[RawFrame]], world: np.ndarray) -> Clips:
    """The clip with all tracked points of its recording.

    They are where any frame of an instant says, and visible in the frames that say so and show
    them: not beyond the crop, and not in cells of unknown pose or intrinsics.
    """
    given = [frame.tracks for row in frames for frame in row if frame.tracks is not None]
    if not given:
        return clips
    points = np.full((len(frames[0]), len(given[0].points), 3), np.nan)
    visible = torch.zeros(*clips.present.shape, points.shape[1], dtype=torch.bool)
    for view, row in enumerate(frames):
        for instant, frame in enumerate(row):
            if frame.tracks is not None:
                found = transform_points(invert(world), frame.tracks.points)
                points[instant] = np.where(np.isnan(points[instant]), found, points[instant])
                visible[0, view, instant] = torch.from_numpy(frame.tracks.visible)
    known = torch.from_numpy(points[None].astype(np.float32))
    pixels = track_pixels(known[:, None], clips.world_from_camera, clips.intrinsics)
    visible &= inside(pixels, (clips.depth.shape[-2], clips.depth.shape[-1]))
    return replace(clips, track_points=known, track_visible=visible)

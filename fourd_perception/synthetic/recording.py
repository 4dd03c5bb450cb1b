"""A synthetic recording: everything about it is known exactly, at every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.layouts import make_scene
from fourd_perception.synthetic.motion import Motion
from fourd_perception.synthetic.pinhole import camera_rays, pixel_grid, pixels_of, project
from fourd_perception.synthetic.rigs import make_rig
from fourd_perception.synthetic.scene import Body, cast, Hits, shade, SKY
from fourd_perception.synthetic.scene_file import read_scene, SCENE_FILE, write_scene
import numpy as np

# A real clock of a camera: no multiple of anything, and too long for a float64.
_START = 1_700_000_000_123_456_789
_SUPERSAMPLING = 2
# Depths nearer than this share in front of a surface point hide it.
_OCCLUSION_MARGIN = 1e-6


class UnknownStamp(ValueError):
    """A stamp at which the recording holds nothing."""


@dataclass(frozen=True, eq=False)
class SyntheticRecording:
    """A scene of moving bodies and a moving rig of pinhole cameras.

    name:         for messages and reports
    bodies:       everything that has a surface
    light:        position of the lamp in the world, metres
    cameras:      by name, all with intrinsics and `base_from_camera`
    trajectory:   of the base (x forward, y left, z up) in the world
    camera_stamps: by camera, increasing integer nanoseconds
    """

    name: str
    bodies: tuple[Body, ...]
    light: tuple[float, float, float]
    cameras: Mapping[str, CameraModel]
    trajectory: Motion
    camera_stamps: Mapping[str, tuple[int, ...]]

    @property
    def start(self) -> int:
        """Earliest stamp of all cameras: time zero of every motion."""
        return min(stamps[0] for stamps in self.camera_stamps.values())

    @property
    def end(self) -> int:
        """Latest stamp of all cameras."""
        return max(stamps[-1] for stamps in self.camera_stamps.values())

    def stamps(self, camera: str) -> tuple[int, ...]:
        """Stamps of one camera's images, nanoseconds."""
        return self.camera_stamps[camera]

    def world_from_base(self, stamp: int) -> np.ndarray:
        """Pose of the rig at any instant of the recording, float64 [4, 4].

        Raises UnknownStamp outside the recording.
        """
        return self.trajectory.pose(self._seconds(stamp))

    def world_from_camera(self, camera: str, stamp: int) -> np.ndarray:
        """Pose of a camera's optical frame at any instant of the recording, float64 [4, 4]."""
        base_from_camera = self.cameras[camera].base_from_camera
        assert base_from_camera is not None
        return self.world_from_base(stamp) @ base_from_camera

    def hits(self, camera: CameraModel, stamp: int) -> Hits:
        """What every pixel of an image sees, row by row; `camera` is derived from the rig's."""
        self.require_image(camera.name, stamp)
        return self._cast(camera, stamp, camera_rays(camera))

    def image(self, camera: str, stamp: int) -> np.ndarray:
        """uint8 [H, W, 3] RGB, 2 x 2 samples a pixel."""
        self.require_image(camera, stamp)
        model, n = self.cameras[camera], _SUPERSAMPLING
        fine = model.resized(n * model.width, n * model.height)
        assert fine.intrinsics is not None
        rays = camera_rays(fine)
        colour = shade(
            self.bodies,
            self._poses(stamp),
            self.world_from_camera(camera, stamp),
            rays,
            self._cast(fine, stamp, rays),
            1.0 / fine.intrinsics[0, 0],
            np.array(self.light),
        )
        mean = colour.reshape(3, model.height, n, model.width, n).mean(axis=(2, 4))
        return np.ascontiguousarray(np.round(255 * mean).astype(np.uint8).transpose(1, 2, 0))

    def depth(self, camera: CameraModel, stamp: int) -> np.ndarray:
        """float32 [h, w], metres along z, NaN on the sky.

        `camera` is one of the rig's, or one resized, cropped or padded from it.
        """
        depth = self.hits(camera, stamp).depth
        return depth.reshape(camera.height, camera.width).astype(np.float32)

    def flow(
        self, camera: CameraModel, stamp: int, other_stamp: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the surface point of every pixel goes in the same camera's image at another time.

        Returns flow float32 [h, w, 2] (u right, v down, pixels; NaN on the sky and where the point
        gets behind the camera) and occluded bool [h, w]: something else is in front of it there,
        or it leaves the image, or the flow is NaN.
        """
        self.require_image(camera.name, other_stamp)
        hits = self.hits(camera, stamp)
        targets = self.targets(camera, hits, stamp, other_stamp)
        flow = pixels_of(camera, targets[:2]) - pixel_grid(camera)
        occluded = ~self._seen(camera, targets, other_stamp)
        shape = camera.height, camera.width
        return flow.T.reshape(*shape, 2).astype(np.float32), occluded.reshape(shape)

    def own_motion(
        self, camera: CameraModel, stamp: int, other_stamps: Sequence[int]
    ) -> np.ndarray:
        """float32 [h, w] pixels: how far the surface point's own motion shows in the image.

        The largest displacement, over the other instants, between the images of the point where it
        is then and where it would be had it stood still: flow minus ego-motion. 0 on the sky; an
        instant where either point is behind the camera says nothing.
        """
        hits = self.hits(camera, stamp)
        largest = np.zeros(len(hits.body))
        for other in other_stamps:
            self.require_image(camera.name, other)
            largest = np.maximum(largest, self.displacements(camera, hits, stamp, other))
        return largest.reshape(camera.height, camera.width).astype(np.float32)

    def surfaces(self, points_world: np.ndarray, stamp: int) -> tuple[np.ndarray, np.ndarray]:
        """How far points [N, 3] are from the nearest surface, and what that surface is.

        Returns distances [N] in metres, and bool [N]: whether that surface ever moves.
        """
        seconds = self._seconds(stamp)
        points = np.asarray(points_world, float)
        nearest, mover = np.full(len(points), np.inf), np.zeros(len(points), bool)
        for body in self.bodies:
            centre, radius = body.motion.pose(seconds)[:3, 3], np.linalg.norm(body.half_size)
            # Only bodies whose bounding ball comes nearer than what is found so far can matter.
            near = np.flatnonzero(np.linalg.norm(points - centre, axis=1) - radius < nearest)
            distance = np.abs(body.distance(points[near], seconds))
            nearer = distance < nearest[near]
            nearest[near[nearer]] = distance[nearer]
            mover[near[nearer]] = body.motion.moves
        return nearest, mover

    def targets(self, camera: CameraModel, hits: Hits, stamp: int, other_stamp: int) -> np.ndarray:
        """Where the points that `hits` found at `stamp` are for the camera at `other_stamp`.

        Returns float64 [3, N] of (x/z, y/z, z) in the optical frame, NaN on the sky and behind.
        """
        points = self._points(camera, camera_rays(camera), hits.depth, stamp)
        carried = self._carried(points, hits.body, stamp, other_stamp)
        return project(invert(self.world_from_camera(camera.name, other_stamp)), carried)

    def displacements(
        self, camera: CameraModel, hits: Hits, stamp: int, other_stamp: int
    ) -> np.ndarray:
        """Own motion of the points that `hits` found, to one instant: float64 [N] pixels."""
        moves = np.array([body.motion.moves for body in self.bodies] + [False])
        chosen = np.flatnonzero(moves[hits.body])
        points = self._points(camera, camera_rays(camera)[:, chosen], hits.depth[chosen], stamp)
        carried = self._carried(points, hits.body[chosen], stamp, other_stamp)
        other_from_world = invert(self.world_from_camera(camera.name, other_stamp))
        there, still = (project(other_from_world, p)[:2] for p in (carried, points))
        apart = np.zeros(len(hits.body))
        apart[chosen] = np.nan_to_num(
            np.hypot(*(pixels_of(camera, there) - pixels_of(camera, still)))
        )
        return apart

    def _points(
        self, camera: CameraModel, rays: np.ndarray, depth: np.ndarray, stamp: int
    ) -> np.ndarray:
        """World points [3, N] on rays [2, N] at depths along z."""
        pose = self.world_from_camera(camera.name, stamp)
        return pose[:3, :3] @ (np.vstack([rays, np.ones(rays.shape[1])]) * depth) + pose[:3, 3:]

    def _carried(
        self, points: np.ndarray, body: np.ndarray, stamp: int, other_stamp: int
    ) -> np.ndarray:
        """World points [3, N] of numbered bodies, moved with them to another time."""
        seconds, other_seconds = self._seconds(stamp), self._seconds(other_stamp)
        carried = points.copy()
        for number in np.unique(body[body != SKY]).tolist():
            motion = self.bodies[number].motion
            if motion.moves:
                chosen = np.flatnonzero(body == number)
                step = motion.pose(other_seconds) @ invert(motion.pose(seconds))
                carried[:, chosen] = step[:3, :3] @ points[:, chosen] + step[:3, 3:]
        return carried

    def _seen(self, camera: CameraModel, rays: np.ndarray, stamp: int) -> np.ndarray:
        """Whether points (x/z, y/z, z) lie inside the image with nothing in front of them."""
        pixels = pixels_of(camera, rays[:2])
        size = np.array([[camera.width], [camera.height]])
        with np.errstate(invalid='ignore'):
            seen = np.all((pixels >= -0.5) & (pixels <= size - 0.5), axis=0)
        chosen = np.flatnonzero(seen)
        front = self._cast(camera, stamp, rays[:2, chosen]).depth
        seen[chosen] = front > rays[2, chosen] * (1 - _OCCLUSION_MARGIN)
        return seen

    def _cast(self, camera: CameraModel, stamp: int, rays: np.ndarray) -> Hits:
        pose = self.world_from_camera(camera.name, stamp)
        return cast(self.bodies, self._poses(stamp), pose, rays)

    def _poses(self, stamp: int) -> np.ndarray:
        seconds = self._seconds(stamp)
        return np.stack([body.motion.pose(seconds) for body in self.bodies])

    def _seconds(self, stamp: int) -> float:
        if not self.start <= stamp <= self.end:
            raise UnknownStamp(
                f'stamp {stamp} ns is outside recording {self.name!r}, which lasts from '
                f'{self.start} to {self.end} ns; use the bag that was written from it'
            )
        return (stamp - self.start) * 1e-9

    def require_image(self, camera: str, stamp: int) -> None:
        """Raise ValueError for an unknown camera, UnknownStamp for a stamp without an image."""
        if camera not in self.cameras:
            raise ValueError(
                f'recording {self.name!r} has no camera {camera!r}, only {tuple(self.cameras)}'
            )
        if stamp not in self.camera_stamps[camera]:
            raise UnknownStamp(
                f'camera {camera!r} of recording {self.name!r} has no image of stamp {stamp} ns; '
                'use the bag that was written from this recording'
            )

    def save(self, directory: str | Path) -> None:
        """Write `scene.yaml`, which holds everything in plain numbers."""
        parts = self.bodies, self.light, self.cameras, self.trajectory, self.camera_stamps
        write_scene(Path(directory) / SCENE_FILE, *parts)

    @staticmethod
    def load(directory: str | Path) -> SyntheticRecording:
        """Read what `save` wrote; numbers come back exactly. The directory becomes the name.

        Raises FileNotFoundError when there is no `scene.yaml`.
        """
        return SyntheticRecording(str(directory), *read_scene(Path(directory) / SCENE_FILE))


def make_recording(
    kind: str = 'room', cameras: int = 4, seconds: float = 4.0, rate: float = 10.0, seed: int = 0
) -> SyntheticRecording:
    """A recording of a `room` or a `street` by a rig of 1-8 cameras, the same for the same seed.

    rate: images per second; all cameras are triggered together, their stamps differ by less than
    a microsecond so that every image has a stamp of its own.
    """
    count = max(1, round(seconds * rate))
    bodies, light, trajectory = make_scene(kind, seconds, seed)
    models = make_rig(kind, cameras)
    stamps = {
        name: tuple(
            _START + round(k * 1e9 / rate) + k * 7919 % 1009 + 137 * i for k in range(count)
        )
        for i, name in enumerate(models)
    }
    return SyntheticRecording(f'{kind}, seed {seed}', bodies, light, models, trajectory, stamps)

"""A room painted by position, as any lens sees it, and what a loader must make of its files.

The colour of a surface is a function of where it is in the world. So image, depth, intrinsics and
pose of one frame check each other: a wrong axis, unit, registration or order of channels shows as
a wrong colour. Files are written from here by formulas of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from fourd_perception.geometry.clips import Clips
from fourd_perception.synthetic.recording import make_recording
from fourd_perception.synthetic.scene import cast
from miniature import painted
import numpy as np


class PaintedRoom:
    """A closed room with things that move, and a camera carried through it for a second."""

    def __init__(self) -> None:
        self._recording = make_recording('room', cameras=1, seconds=1.3, rate=10.0)

    def pose(self, seconds: float) -> np.ndarray:
        """World from camera [4, 4] of the carried camera, OpenCV axes."""
        stamp = self._recording.start + round(seconds * 1e9)
        return self._recording.world_from_camera('front', stamp)

    def seen(
        self, rays: np.ndarray, size: tuple[int, int], seconds: float, pose: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 [h, w, 3] and depth float32 [h, w] along rays [2, h * w].

        pose: of the camera; None is the carried one.
        """
        pose = self.pose(seconds) if pose is None else pose
        bodies = self._recording.bodies
        depth = cast(bodies, np.stack([b.motion.pose(seconds) for b in bodies]), pose, rays).depth
        points = pose[:3, :3] @ (np.vstack([rays, np.ones(rays.shape[1])]) * depth) + pose[:3, 3:]
        return painted(points.T).reshape(*size, 3), depth.reshape(size).astype(np.float32)


def rays_through(
    intrinsics: np.ndarray, size: tuple[int, int], distortion: tuple[float, ...] = (0.0,) * 5
) -> np.ndarray:
    """Rays (x / z, y / z) [2, h * w] of a lens with k1, k2, p1, p2, k3, by fixed-point steps."""
    y, x = np.mgrid[: size[0], : size[1]].reshape(2, -1)
    u = (x - intrinsics[0, 2]) / intrinsics[0, 0]
    v = (y - intrinsics[1, 2]) / intrinsics[1, 1]
    k1, k2, p1, p2, k3 = distortion
    a, b = u, v
    for _ in range(25):
        r = a * a + b * b
        radial = 1 + r * (k1 + r * (k2 + r * k3))
        along_x = 2 * p1 * a * b + p2 * (r + 2 * a * a)
        along_y = p1 * (r + 2 * b * b) + 2 * p2 * a * b
        a, b = (u - along_x) / radial, (v - along_y) / radial
    return np.stack([a, b])


def assert_shows_room(
    clips: Clips,
    seconds: Sequence[float],
    poses: np.ndarray,
    coverage: float | np.ndarray,
    scale: float = 1.0,
) -> None:
    """Every cell shows what a camera of its intrinsics sees of the room from its true pose.

    seconds:  [T] of the room
    poses:    [V, T, 4, 4] true poses of the cells; NaN where the clip must not know one
    coverage: share of the pixels, at least, whose depth must be known, for all cells or [V, T];
              0: no depth at all
    scale:    units of the clip per metre
    """
    known = np.isfinite(poses).all(axis=(-1, -2))
    found = clips.world_from_camera[0].double().numpy()
    np.testing.assert_array_equal(np.isfinite(found).all(axis=(-1, -2)), known)
    found[..., :3, 3] /= scale
    first = tuple(np.argwhere(known)[0])
    true_from_clip = poses[first] @ np.linalg.inv(found[first])
    shares, room = np.broadcast_to(coverage, known.shape), PaintedRoom()
    for cell in map(tuple, np.ndindex(known.shape)):
        depth = clips.depth[0][cell].numpy() / scale
        share = np.isfinite(depth).mean()
        assert share > shares[cell] if shares[cell] else share == 0, f'cell {cell}: {share}'
        if known[cell]:
            np.testing.assert_allclose(true_from_clip @ found[cell], poses[cell], atol=2e-3)
            rays = rays_through(clips.intrinsics[0][cell].double().numpy(), depth.shape)
            image, true = room.seen(rays, depth.shape, seconds[cell[1]], poses[cell])
            _assert_equal_but_at_edges(clips.images[0][cell].movedim(0, -1).numpy(), image)
            if share:
                assert abs(np.nanmedian(depth / true) - 1) < 1e-3, f'cell {cell}'
                assert np.nanquantile(np.abs(depth / true - 1), 0.9) < 0.02, f'cell {cell}'


def _assert_equal_but_at_edges(image: np.ndarray, expected: np.ndarray) -> None:
    wrong = np.abs(image.astype(float) - expected).max(axis=-1)
    assert np.median(wrong) < 3, f'colours are {np.median(wrong)} off'
    assert np.quantile(wrong, 0.9) < 20, f'colours are {np.quantile(wrong, 0.9)} off'

"""A small street with a mover, as a stereo pair sees it: what loaders must make of their files.

Everything is known exactly at any size: image, depth (the sky has none), poses, flow and what
moves. Colours are a function of where a surface is in the world, so that image, depth,
intrinsics and pose of one frame check each other. Files are written from here, by formulas of
their own, in the formats of the data sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.clips import Clips, DYNAMIC, IGNORED, OCCLUDED, VISIBLE
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.motion import Motion
from fourd_perception.synthetic.pinhole import camera_rays
from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.synthetic.scene import Body, SKY
from fourd_perception.synthetic.textures import Texture
import numpy as np

_GREY = Texture('plain', ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), noise=0.0)
# Optical axes in the base (x forward, y left, z up).
_FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
# Metres from one maximum of a colour to the next, per world axis and channel R, G, B.
_WAVELENGTHS = np.array([2.1, 2.9, 3.7])
_BODIES = (
    Body('ground', 'box', (40.0, 40.0, 1.0), _GREY, Motion((0.0, 0.0, -2.5))),
    Body('house', 'box', (2.0, 1.5, 4.0), _GREY, Motion((9.0, 4.0, 0.0), rotation=(0, 0, 0.4))),
    Body('ball', 'ellipsoid', (0.7, 0.7, 0.7), _GREY, Motion((6.0, -2.2, -0.8))),
    Body(
        'car', 'box', (0.6, 0.9, 0.6), _GREY, Motion((5.0, 0.6, -0.9), velocity=(0.0, -1.6, 0.0))
    ),
)
MOVER = 3
SECONDS = 0.1


class Miniature:
    """The street seen by images of size (height, width), `instants` of them, 0.1 s apart.

    baseline: metres from the left camera to the right one
    """

    def __init__(
        self,
        size: tuple[int, int],
        instants: int = 3,
        baseline: float = 0.4,
        intrinsics: np.ndarray | None = None,
    ) -> None:
        height, width = size
        if intrinsics is None:
            focal = 0.8 * width
            centre = 0.5 * width - 2.0, 0.5 * height + 3.0
            intrinsics = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
        self.size, self.instants, self.intrinsics = size, instants, intrinsics
        # Rendered once, however many tests write files from it.
        for name in ('image', 'depth', 'flow', 'occluded', 'instances'):
            setattr(self, name, cache(getattr(self, name)))
        self.stamps = tuple(round(k * SECONDS * 1e9) for k in range(instants))
        self.cameras = tuple(
            CameraModel(
                name,
                width,
                height,
                intrinsics,
                base_from_camera=transform(_FORWARD, np.array([0.0, -aside, 0.0])),
            )
            for name, aside in (('left', 0.0), ('right', baseline))
        )
        self.recording = SyntheticRecording(
            'street',
            _BODIES,
            (0.0, 0.0, 9.0),
            {camera.name: camera for camera in self.cameras},
            Motion((0.0, 0.0, 0.0), velocity=(1.5, 0.2, 0.0), turn=(0.0, 0.0, 0.15)),
            {camera.name: self.stamps for camera in self.cameras},
        )

    def pose(self, view: int, instant: int) -> np.ndarray:
        """World from camera [4, 4], OpenCV axes; the world has x forward, y left, z up."""
        return self.recording.world_from_camera(self.cameras[view].name, self.stamps[instant])

    def image(self, view: int, instant: int) -> np.ndarray:
        """uint8 [h, w, 3] RGB; the sky is white."""
        depth, camera = self.depth(view, instant), self.cameras[view]
        rays = np.vstack([camera_rays(camera), np.ones(depth.size)])
        points = self._in_world(rays * depth.ravel(), view, instant)
        colours = painted(np.nan_to_num(points)).reshape(*self.size, 3)
        return np.where(np.isnan(depth)[..., None], np.uint8(255), colours)

    def depth(self, view: int, instant: int, finer: int = 1) -> np.ndarray:
        """float32 [h, w] along z, NaN on the sky; `finer` times the size of the image."""
        return self.recording.depth(self._camera(view, finer), self.stamps[instant])

    def flow(self, view: int, instant: int, step: int, finer: int = 1) -> np.ndarray:
        """float32 [h, w, 2] (u, v) to the instant `step` later; NaN on the sky."""
        camera = self._camera(view, finer)
        other = self.stamps[instant + step]
        return self.recording.flow(camera, self.stamps[instant], other)[0]

    def occluded(self, view: int, instant: int, step: int) -> np.ndarray:
        """Bool [h, w]: hidden, or outside the image, at the instant `step` later."""
        camera = self.cameras[view]
        other = self.stamps[instant + step]
        return self.recording.flow(camera, self.stamps[instant], other)[1]

    def instances(self, view: int, instant: int) -> np.ndarray:
        """uint8 [h, w]: 0 on the sky, from 1 for the bodies."""
        hits = self.recording.hits(self.cameras[view], self.stamps[instant])
        return np.where(hits.body == SKY, 0, hits.body + 1).reshape(self.size).astype(np.uint8)

    def tracks(self, view: int, every: int = 37) -> tuple[np.ndarray, np.ndarray]:
        """Points [T, N, 3] in the world that the first image sees, and whether each one is seen.

        Not those on the sky. Visibility, bool [T, N].
        """
        camera, start = self.cameras[view], self.stamps[0]
        hits = self.recording.hits(camera, start)
        chosen = np.flatnonzero(hits.body != SKY)[::every]
        # In no order, so that the first ones are here and there.
        chosen = np.random.default_rng(3).permutation(chosen)
        rays = np.vstack([camera_rays(camera), np.ones(hits.depth.size)])[:, chosen]
        points = self._in_world(rays * hits.depth[chosen], view, 0)
        moving = hits.body[chosen] == MOVER
        steps = [
            np.array(_BODIES[MOVER].motion.velocity) * k * SECONDS for k in range(self.instants)
        ]
        moved = np.stack([points + moving[:, None] * step for step in steps])
        hidden = [self.occluded(view, 0, k).ravel()[chosen] for k in range(1, self.instants)]
        return moved, np.stack([np.ones(len(chosen), bool), *(~h for h in hidden)])

    def pixels(self, points: np.ndarray, view: int, instant: int) -> np.ndarray:
        """Pixels [N, 2] of world points [N, 3]."""
        pose = self.pose(view, instant)
        image = (points - pose[:3, 3]) @ pose[:3, :3] @ self.intrinsics.T
        return image[:, :2] / image[:, 2:]

    def _camera(self, view: int, finer: int) -> CameraModel:
        return self.cameras[view].resized(finer * self.size[1], finer * self.size[0])

    def _in_world(self, points: np.ndarray, view: int, instant: int) -> np.ndarray:
        """World points [N, 3] of points [3, N] in the optical frame."""
        pose = self.pose(view, instant)
        return (pose[:3, :3] @ points + pose[:3, 3:]).T


def painted(points: np.ndarray) -> np.ndarray:
    """Colours uint8 [..., 3] of world points [..., 3]."""
    return np.round(128 + 100 * np.sin(2 * np.pi * points / _WAVELENGTHS)).astype(np.uint8)


class Seen:
    """The truth of a miniature at the size of a clip cropped in the middle, for comparison."""

    def __init__(self, miniature: Miniature, size: tuple[int, int], first: int = 0) -> None:
        (height, width), (high, wide) = miniature.size, size
        scale = min(height / high, width / wide)
        w, h = round(wide * scale), round(high * scale)
        cropped = PixelMap(1, 1, -round((width - w) / 2), -round((height - h) / 2))
        shrunk = cropped.then(PixelMap(wide / w, high / h))
        self.cameras = tuple(c.mapped(shrunk, wide, high) for c in miniature.cameras)
        self.recording, self.stamps = miniature.recording, miniature.stamps[first:]

    def check_cameras(self, clips: Clips, scale: float = 1.0) -> None:
        """Intrinsics and poses are those of the street, up to the choice of the world."""
        views, instants = clips.images.shape[1:3]
        world = self._pose(0, 0)
        for view in range(views):
            for k in range(instants):
                intrinsics = self.cameras[view].intrinsics
                np.testing.assert_allclose(clips.intrinsics[0, view, k], intrinsics, atol=1e-3)
                expected = np.linalg.inv(world) @ self._pose(view, k)
                expected[:3, 3] *= scale
                np.testing.assert_allclose(
                    clips.world_from_camera[0, view, k], expected, atol=2e-3
                )

    def check_depth(self, clips: Clips, scale: float = 1.0, tolerance: float = 0.01) -> None:
        """Depth is known off the sky, right but at edges, and agrees with the image's colours."""
        for view, k, camera in self._cells(clips):
            true = scale * self.recording.depth(camera, self.stamps[k])
            depth = clips.depth[0, view, k].numpy()
            assert (np.isnan(depth) == np.isnan(true)).mean() > 0.97
            both = ~np.isnan(depth) & ~np.isnan(true)
            assert np.quantile(np.abs(depth / true - 1)[both], 0.9) < 0.02 + tolerance
            assert abs(np.median((depth / true)[both]) - 1) < tolerance
            self._check_colours(clips, view, k, depth / scale)

    def check_flow(self, clips: Clips, forward: bool = True, backward: bool = True) -> None:
        """Flow leads to the neighbours, and from the ends nowhere; all unknown when not there."""
        last = clips.images.shape[2] - 1
        for view, k, camera in self._cells(clips):
            for name, there, end in (('forward', forward, last), ('backward', backward, 0)):
                flow = getattr(clips, f'flow_{name}')[0, view, k].numpy()
                hidden = getattr(clips, f'occluded_{name}')[0, view, k].numpy()
                if not there or k == end:
                    assert np.isnan(flow).all()
                    continue
                other = self.stamps[k + (1 if name == 'forward' else -1)]
                true, occluded = self.recording.flow(camera, self.stamps[k], other)
                error = np.linalg.norm(flow - true.transpose(2, 0, 1), axis=0)
                assert (np.isnan(flow[0]) == np.isnan(true[..., 0])).mean() > 0.97
                assert np.nanmedian(error) < 0.06 and np.nanquantile(error, 0.9) < 0.3
                assert abs(_ratio(flow, true) - 1) < 0.001
                told = np.isin(hidden, (VISIBLE, OCCLUDED)) & ~np.isnan(error)
                assert ((hidden == OCCLUDED) == occluded)[told].mean() > 0.97

    def check_dynamic(self, clips: Clips) -> None:
        """Labels are those of own motion in the window."""
        instants = clips.images.shape[2]
        for view, k, camera in self._cells(clips):
            motion = self.recording.own_motion(camera, self.stamps[k], self.stamps[:instants])
            true, label = dynamic_label(motion), clips.dynamic[0, view, k].numpy()
            both = (label != IGNORED) & (true != IGNORED)
            assert both[~np.isnan(clips.depth[0, view, k].numpy())].mean() > 0.8
            assert (label == true)[both].mean() > 0.98
            moving = both & (true == DYNAMIC)
            assert moving.any() and (label[moving] == DYNAMIC).mean() > 0.8

    def inside(self, points: np.ndarray, view: int, instant: int) -> np.ndarray:
        """Bool [N]: where world points [N, 3] before the camera are inside the cropped image."""
        camera, pose = self.cameras[view], self._pose(view, instant)
        image = (points - pose[:3, 3]) @ pose[:3, :3] @ camera.intrinsics.T
        pixels, size = image[:, :2] / image[:, 2:], (camera.width, camera.height)
        return np.all((pixels >= -0.5) & (pixels <= np.array(size) - 0.5), axis=1)

    def _cells(self, clips: Clips) -> Iterator[tuple[int, int, CameraModel]]:
        for view, instant in np.ndindex(*clips.images.shape[1:3]):
            yield view, instant, self.cameras[view]

    def _pose(self, view: int, instant: int) -> np.ndarray:
        return self.recording.world_from_camera(self.cameras[view].name, self.stamps[instant])

    def _check_colours(self, clips: Clips, view: int, instant: int, depth: np.ndarray) -> None:
        y, x = np.nonzero(~np.isnan(depth))
        k, pose = clips.intrinsics[0, view, instant].double().numpy(), self._pose(view, instant)
        rays = np.stack([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], np.ones(len(x))])
        colours = painted((pose[:3, :3] @ (rays * depth[y, x]) + pose[:3, 3:]).T)
        image = clips.images[0, view, instant].numpy()[:, y, x].T
        wrong = np.abs(colours.astype(float) - image).max(axis=1)
        assert np.median(wrong) < 12, f'colours are {np.median(wrong)} off'


def _ratio(flow: np.ndarray, true: np.ndarray) -> float:
    """How much longer flow [2, h, w] is than the true one [h, w, 2], where that is above 1 px."""
    along = (flow.transpose(1, 2, 0) * true).sum(axis=-1) / (true**2).sum(axis=-1)
    return np.nanmedian(along[np.linalg.norm(true, axis=-1) > 1])

"""Scenes for tests: the truth of drawn ones, slowly, by the plain ray caster; handmade ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.generator.bodies import (
    ABSENT,
    BOX,
    CYLINDER,
    ELLIPSOID,
    world_poses,
)
from fourd_perception.synthetic.generator.compose import camera_poses, compose
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.scene import Scenes
from fourd_perception.synthetic.generator.spec import SceneSpec
from fourd_perception.synthetic.generator.things import bodies
from fourd_perception.synthetic.motion import Motion
from fourd_perception.synthetic.scene import Body, cast, SKY
from fourd_perception.synthetic.textures import Texture
import numpy as np

_SHAPES = {BOX: 'box', ELLIPSOID: 'ellipsoid', CYLINDER: 'cylinder'}
_GREY = Texture('plain', ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))


def drawn(seed: int, spec: SceneSpec) -> Scenes:
    """The scene of one clip."""
    return compose(Draws.of([seed]), spec).of_clips(slice(0, 1))


class PlainScene:
    """One clip's scene, asked pixel by pixel. Arrays are [h, w], or [2, h, w]."""

    def __init__(self, scenes: Scenes, size: tuple[int, int]) -> None:
        self.scenes, self.size = scenes, size
        there = scenes.bodies
        assert (there.kind != ABSENT).all()
        self.poses = world_poses(there, scenes.links, scenes.seconds)[0]
        self.cameras = camera_poses(scenes.rig, scenes.mounts, scenes.seconds[..., None])[0]
        self.bodies = [
            Body(str(i), _SHAPES[kind], tuple(half), _GREY, Motion((0.0, 0.0, 0.0)))
            for i, (kind, half) in enumerate(zip(there.kind[0], there.half[0]))
        ]
        y, x = np.mgrid[: size[0], : size[1]].reshape(2, -1).astype(float)
        self.pixels = np.stack([x, y])

    def seen(self, view: int, instant: int, rays: np.ndarray | None = None):
        """Body (`SKY` for none) and depth [N] along rays [2, N], of the pixels by default."""
        rays = self.rays(view) if rays is None else rays
        hits = cast(self.bodies, self.poses[:, instant], self.cameras[view, instant, 0], rays)
        return hits.body, hits.depth

    def rays(self, view: int) -> np.ndarray:
        k = self.scenes.intrinsics[0, view]
        return (self.pixels - k[:2, 2:]) / np.array([[k[0, 0]], [k[1, 1]]])

    def carried(self, view: int, instant: int, other: int, moving: bool = True) -> np.ndarray:
        """Where each pixel's point is for the camera at another instant, [3, N]."""
        body, depth = self.seen(view, instant)
        here, there = self.cameras[view, instant, 0], self.cameras[view, other, 0]
        points = np.concatenate([self.rays(view), np.ones((1, len(body)))])
        out = np.empty_like(points)
        for number in np.unique(body):
            chosen = body == number
            if number == SKY:
                out[:, chosen] = invert(there)[:3, :3] @ here[:3, :3] @ points[:, chosen]
                continue
            step = np.eye(4)
            if moving:
                step = self.poses[number, other] @ invert(self.poses[number, instant])
            whole = invert(there) @ step @ here
            out[:, chosen] = whole[:3, :3] @ (points[:, chosen] * depth[chosen]) + whole[:3, 3:]
        return out

    def projected(self, view: int, points: np.ndarray) -> np.ndarray:
        """Pixels [2, N] of points [3, N], NaN behind the camera."""
        k = self.scenes.intrinsics[0, view]
        z = np.where(points[2] > 1e-3, points[2], np.nan)
        return points[:2] / z * np.array([[k[0, 0]], [k[1, 1]]]) + k[:2, 2:]

    def flow(self, view: int, instant: int, other: int) -> tuple[np.ndarray, np.ndarray]:
        """Flow [2, N] and whether the point is hidden or outside there, bool [N]."""
        points = self.carried(view, instant, other)
        there = self.projected(view, points)
        size = np.array([[self.size[1]], [self.size[0]]])
        with np.errstate(invalid='ignore'):
            inside = np.all((there >= -0.5) & (there <= size - 0.5), axis=0)
        sky = self.seen(view, instant)[0] == SKY
        hidden = ~inside
        body, depth = self.seen(view, other, points[:2, inside] / points[2, inside])
        nearer = np.where(sky[inside], body != SKY, depth < points[2, inside] * (1 - 5e-4))
        hidden[inside] = nearer & (body != SKY)
        return there - self.pixels, hidden

    def own_motion(self, view: int, instant: int) -> np.ndarray:
        """Longest own motion [N] to any other instant, NaN where none tells of what moves."""
        moves = np.append((self.poses != self.poses[:, :1]).any((1, 2, 3)), False)
        longest = np.where(moves[self.seen(view, instant)[0]], np.nan, 0.0)
        for other in set(range(self.scenes.seconds.shape[1])) - {instant}:
            moved, still = (
                self.projected(view, self.carried(view, instant, other, moving))
                for moving in (True, False)
            )
            longest = np.fmax(longest, np.hypot(*(moved - still)))
        return longest


def handmade(
    spec: SceneSpec,
    placed: Sequence[tuple[int, tuple[float, float, float], tuple[float, float, float]]],
    velocity: float = 0.0,
    heading: float = 0.0,
    mirror: float = 0.0,
    exposure: float = 0.0,
    lamp: tuple[float, float, float] = (0.0, 0.0, 8.0),
) -> Scenes:
    """A scene of a few bodies (kind, half sizes, place), the last of which drives.

    heading: 0 drives along x, pi / 2 along y

    One camera, 1.5 m above the ground, looks along -y from y = 5, without any of the faults that
    cameras have. A second lies between slices, 0 is in their middle.
    """
    scenes = drawn(0, spec)
    kind, half, place = (np.array(column) for column in zip(*placed))
    count = len(placed)
    moving = bodies(
        1,
        count,
        kind,
        half,
        place.astype(float),
        link=(np.arange(count) == count - 1).astype(int),
        instance=np.arange(count),
        surface=np.arange(count),
    )
    links = Links.still(1, 2)
    links.speed[0, 1], links.heading[0, 1] = velocity, heading
    rig = Links.still(1, 1)
    rig.place[0, 0] = 0.0, 5.0, 1.5
    rig.heading[0, 0], rig.tilt[0, 0, 1] = -0.5 * np.pi, 0.25
    height, width = spec.size
    k = np.array(
        [[0.6 * width, 0, 0.5 * width - 0.5], [0, 0.6 * width, 0.5 * height - 0.5], [0, 0, 1]]
    )
    plain, none = np.ones((1, 1)), np.zeros((1, 1))
    cameras = replace(
        scenes.cameras,
        exposure=np.ones((1, 1, spec.instants)),
        balance=np.ones((1, 1, 3)),
        gamma=plain,
        saturation=plain,
        vignetting=none,
        shot=none,
        read=none,
        step=none,
    )
    lights = replace(
        scenes.lights,
        lamp=np.array([lamp]),
        lamp_colour=np.full((1, 3), 0.6),
        ambient=np.full((1, 3), 0.4),
        shadow=np.array([1.0]),
        penumbra=np.array([0.0]),
        mirror=np.array([mirror]),
    )
    return replace(
        scenes,
        bodies=moving,
        links=links,
        rig=rig,
        lights=lights,
        cameras=cameras,
        intrinsics=k[None, None],
        seconds=(np.arange(spec.instants) - 0.5 * (spec.instants - 1))[None],
        exposure=np.array([exposure]),
    )

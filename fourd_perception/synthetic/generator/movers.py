"""Things that move by themselves, placed where a camera sees them."""

from __future__ import annotations

from fourd_perception.synthetic.generator.bodies import ABSENT, Bodies, BOX, CYLINDER, ELLIPSOID
from fourd_perception.synthetic.generator.cameras import LEAST_FLOW, MOST_FLOW
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.places import SURFACES
from fourd_perception.synthetic.generator.things import bodies
import numpy as np

MOVERS = 8
FIRST_INSTANCE = 200


def movers(
    draws: Draws,
    world_from_camera: np.ndarray,
    intrinsics: np.ndarray,
    seconds: np.ndarray,
    size: tuple[int, int],
    depth: np.ndarray,
    none: np.ndarray,
    link: int,
) -> tuple[Bodies, Links]:
    """Single bodies on paths of their own; `link` is the number of the first of their links."""
    n, shape = len(draws), (MOVERS,)
    height, width = size
    views, instants = world_from_camera.shape[1:3]
    view, instant = draws.index('view', views, shape), draws.index('instant', instants, shape)
    clip = np.arange(n)[:, None]
    pose, k = world_from_camera[clip, view, instant], intrinsics[clip, view]
    pixel = draws.uniform('pixel', 0.1, 0.9, (MOVERS, 2)) * [width, height]
    rays = (pixel - k[..., :2, 2]) / np.stack([k[..., 0, 0], k[..., 1, 1]], -1)
    away = draws.uniform('away', 0.25, 0.9, shape) * depth[:, None]
    local = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) * away[..., None]
    place = (pose[..., :3, :3] @ local[..., None])[..., 0] + pose[..., :3, 3]
    time = seconds[clip, instant]
    interval = np.diff(seconds, axis=1).mean(1)[:, None]
    flow = draws.log_uniform('flow', LEAST_FLOW, MOST_FLOW, shape)
    speed = flow * away / (k[..., 0, 0] * interval)
    links = Links.still(n, MOVERS)
    heading = draws.uniform('heading', -np.pi, np.pi, shape)
    links.heading[:] = heading
    links.speed[:] = speed
    links.climb[:] = draws.uniform('climb', -0.4, 0.4, shape) * speed
    half = draws.uniform('half', 0.05, 0.3, (MOVERS, 3)) * away[..., None]
    kind = np.array([BOX, ELLIPSOID, CYLINDER])[draws.index('kind', 3, shape)]
    half[..., 1] = np.where(kind == CYLINDER, half[..., 0], half[..., 1])
    links.spin[:] = (
        draws.uniform('spin', -0.5, 0.5, (MOVERS, 3))
        * (speed / half.max(-1))[..., None]
        * draws.chance('spins', 0.5, shape)[..., None]
    )
    # The path goes through the place at its own instant.
    path = (
        np.stack([speed * np.cos(heading), speed * np.sin(heading), links.climb], -1)
        * time[..., None]
    )
    links.place[:] = place - path
    count = draws.index('count', MOVERS) + 1
    here = (np.arange(MOVERS) < count[:, None]) & ~none[:, None]
    numbers = np.arange(MOVERS)
    return (
        bodies(
            n,
            MOVERS,
            np.where(here, kind, ABSENT),
            half,
            np.zeros(3),
            draws.uniform('turn', -np.pi, np.pi, (MOVERS, 3)),
            link + numbers,
            FIRST_INSTANCE + numbers,
            draws.index('surface', SURFACES, shape),
        ),
        links,
    )

"""Rigs of cameras, their lenses, and how they move."""

from __future__ import annotations

from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links, rotations
from fourd_perception.synthetic.generator.things import vector
import numpy as np

# Columns: the optical axes (right, down, forward) in the rig's axes (forward, left, up).
_RIG_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
LEAST_FLOW, MOST_FLOW = 0.1, 40.0


def lenses(draws: Draws, views: int, size: tuple[int, int]) -> np.ndarray:
    """Intrinsics [B, V, 3, 3]: field of view 35-110 degrees, principal point not in the middle."""
    height, width = size
    same = draws.chance('same lenses', 0.6)[:, None]
    field = np.radians(draws.uniform('field of view', 35, 110, (views,)))
    field = np.where(same, field[:, :1], field)
    focal = 0.5 * max(size) / np.tan(0.5 * field)
    squeeze = draws.uniform('squeeze', 0.98, 1.02, (views,))
    off = draws.uniform('principal point', -1, 1, (views, 2)) ** 3 * 0.2
    out = np.zeros((len(draws), views, 3, 3))
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2] = focal, focal * squeeze, 1
    out[..., 0, 2] = 0.5 * (width - 1) + off[..., 0] * width
    out[..., 1, 2] = 0.5 * (height - 1) + off[..., 1] * height
    return out


def mounts(draws: Draws, views: int, scale: np.ndarray) -> np.ndarray:
    """rig_from_camera [B, V, 4, 4]: a ring, a stereo row, or a cluster that looks ahead."""
    n = len(draws)
    kind = draws.choice('rig', (0.4, 0.3, 0.3))[:, None]
    k = np.arange(views)
    spacing = draws.uniform('spacing', 0.05, 0.4)[:, None]
    bearing = 2 * np.pi * k / max(views, 1)
    ring = spacing * vector(np.cos(bearing), np.sin(bearing), 0)[None].transpose(2, 0, 1)
    ring = np.moveaxis(ring, 0, -1)
    row = vector(np.zeros((n, views)), spacing * (k - 0.5 * (views - 1)), 0.0)
    cloud = draws.uniform('cluster', -1, 1, (views, 3)) * spacing[..., None]
    place = np.where((kind == 0)[..., None], ring, np.where((kind == 1)[..., None], row, cloud))
    yaw = np.where(kind == 0, bearing, draws.uniform('yaw', -0.1, 0.1, (views,)))
    pitch = draws.uniform('pitch', -0.08, 0.08, (views,))
    roll = draws.uniform('roll', -0.04, 0.04, (views,))
    if views == 1:
        place, yaw, pitch = 0 * place, 0 * yaw, 0 * pitch
    return transform(rotations(np.stack([roll, pitch, yaw], -1)) @ _RIG_FROM_OPTICAL, place)


def rig_path(
    draws: Draws,
    spot: np.ndarray,
    heading: np.ndarray,
    depth: np.ndarray,
    focal: np.ndarray,
    interval: np.ndarray,
    driving: np.ndarray,
    still: np.ndarray,
) -> Links:
    """One link a clip whose motion between neighbouring instants makes a wanted flow.

    focal [B] in pixels; interval [B] in seconds; driving, still: bool [B]
    """
    n = len(draws)
    flow = draws.log_uniform('flow', LEAST_FLOW, MOST_FLOW) * ~still
    share = draws.uniform('share of turning', 0, 0.9) * np.where(driving, 0.3, 1.0)
    # Pixels an instant: speed * interval * focal / depth, and rate * interval * focal.
    rate = flow / (focal * interval)
    speed = np.minimum((1 - share) * rate * depth, 0.5 * depth / (4 * interval))
    turn = share * rate * np.where(draws.chance('turns left', 0.5), 1, -1)
    aside = np.where(driving, 0.0, draws.uniform('walks aside', -np.pi, np.pi))
    links = Links.still(n, 1)
    links.place[:, 0] = spot
    links.heading[:, 0] = heading + aside
    links.tilt[:, 0, 2] = -aside
    links.tilt[:, 0, 1] = draws.uniform('pitch', -0.1, 0.35) * ~driving
    links.tilt[:, 0, 0] = draws.uniform('roll', -0.1, 0.1) * ~driving
    links.speed[:, 0] = speed
    links.spin[:, 0, 2] = turn
    links.climb[:, 0] = speed * draws.uniform('climb', -0.3, 0.3) * ~driving
    links.rock[:, 0] = draws.uniform('rock', -0.3, 0.3, (3,)) * (rate * interval)[:, None]
    links.frequency[:, 0] = draws.uniform('frequency', 0.1, 0.5) / interval
    links.phase[:, 0] = draws.uniform('phase', 0, 2 * np.pi)
    return links

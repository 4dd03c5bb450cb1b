"""Rigs of cameras, their lenses, and how they move."""

from __future__ import annotations

from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.generator.bodies import Bodies
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links, rotations
from fourd_perception.synthetic.generator.probes import probe
from fourd_perception.synthetic.generator.things import vector
import numpy as np

# Columns: the optical axes (right, down, forward) in the rig's axes (forward, left, up).
RIG_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
# Pixels between neighbouring instants, the mean over an image; single pixels move farther.
LEAST_FLOW, MOST_FLOW = 0.1, 24.0
RING, ROW, CLUSTER, AROUND = range(4)
# Shares of the way to the next wall that a rig may go.
_FREE = 0.7
# Half the length of a rig as a share of half the free space.
_LARGEST_RIG = 0.3
_COLUMNS, _ROWS = 8, 6


def lenses(draws: Draws, views: int, size: tuple[int, int]) -> np.ndarray:
    """Intrinsics [B, V, 3, 3]: field of view 35-110 degrees, principal point not in the middle."""
    height, width = size
    same = draws.chance('same lenses', 0.6)[:, None]
    field = np.radians(draws.uniform('field of view', 35, 110, (views,)))
    field = np.where(same, field[:, :1], field)
    focal = 0.5 * max(size) / np.tan(0.5 * field)
    squeeze = draws.uniform('squeeze', 0.98, 1.02, (views,))
    off = draws.uniform('principal point', -1, 1, (views, 2)) ** 3 * 0.25
    out = np.zeros((len(draws), views, 3, 3))
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2] = focal, focal * squeeze, 1
    out[..., 0, 2] = 0.5 * (width - 1) + off[..., 0] * width
    out[..., 1, 2] = 0.5 * (height - 1) + off[..., 1] * height
    return out


def rig_kinds(draws: Draws, views: int, indoors: np.ndarray) -> np.ndarray:
    """`RING`, `ROW`, `CLUSTER` or `AROUND` [B]: cameras round a hall stand only indoors."""
    kind = draws.choice('kind', (0.3, 0.25, 0.25, 0.2))
    return np.where((kind == AROUND) & (~indoors | (views == 1)), RING, kind)


def mounts(draws: Draws, views: int, kind: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """rig_from_camera [B, V, 4, 4]: a ring, a stereo row, a cluster, or cameras round a hall.

    kind: [B], of `rig_kinds`; extent: [B, 2] metres, half of the free space along x and y
    """
    n = len(draws)
    if views == 1:
        return np.broadcast_to(transform(RIG_FROM_OPTICAL, np.zeros(3)), (n, 1, 4, 4)).copy()
    kind = kind[:, None]
    k = np.arange(views)
    # The ends of a row stay away from walls.
    most = 2 * _LARGEST_RIG * extent.min(1) / views
    spacing = np.minimum(draws.log_uniform('spacing', 0.05, 0.35), most)[:, None]
    bearing = 2 * np.pi * k / views
    ring = vector(np.cos(bearing), np.sin(bearing), 0.0) * spacing[..., None]
    row = vector(np.zeros((n, views)), spacing * (k - 0.5 * (views - 1)), 0.0)
    cloud = draws.uniform('cluster', -1, 1, (views, 3)) * spacing[..., None]
    around = bearing + draws.uniform('round', -0.3, 0.3, (views,))
    far = draws.uniform('circle', 0.5, 0.9, (views, 1)) * extent[:, None]
    up = draws.uniform('up', 0, 1, (views,))
    circle = vector(far[..., 0] * np.cos(around), far[..., 1] * np.sin(around), up)
    place = np.choose(kind[..., None], [ring + 0 * row, row, cloud, circle])
    small = draws.uniform('yaw', -0.1, 0.1, (views,))
    inward = np.arctan2(-circle[..., 1], -circle[..., 0])
    yaw = np.choose(kind, [bearing + small, small, 4 * small, inward + small])
    pitch = draws.uniform('pitch', -0.08, 0.08, (views,)) + 0.25 * (kind == AROUND)
    roll = draws.uniform('roll', -0.04, 0.04, (views,))
    return transform(rotations(np.stack([roll, pitch, yaw], -1)) @ RIG_FROM_OPTICAL, place)


def resting_rig(
    draws: Draws, spot: np.ndarray, heading: np.ndarray, hand_held: np.ndarray
) -> Links:
    """One link a clip at its spot, before it moves."""
    links = Links.still(len(draws), 1)
    links.place[:, 0] = spot
    links.heading[:, 0] = heading
    loose = np.where(hand_held, 1.0, 0.15)
    links.tilt[:, 0, 1] = draws.uniform('pitch', -0.25, 0.4) * loose
    links.tilt[:, 0, 0] = draws.uniform('roll', -0.2, 0.2) * loose
    return links


def set_off(
    draws: Draws,
    rig: Links,
    mounted: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    standing: Bodies,
    seconds: np.ndarray,
    driving: np.ndarray,
    still: np.ndarray,
) -> Links:
    """The resting rig on a path whose mean flow between neighbouring instants is as wanted.

    It is log-uniform from .1 to 24 px. As far as there is room the rig goes, the rest is
    turning. driving, still: bool [B]: straight ahead, not at all.
    """
    n = len(draws)
    want = draws.log_uniform('flow', LEAST_FLOW, MOST_FLOW) * ~still
    share = draws.uniform('share of turning') ** 2 * np.where(driving, 0.3, 1.0)
    aside = np.where(driving, 0.0, draws.uniform('aside', -np.pi, np.pi))
    steep = np.where(driving, 0.0, draws.uniform('steep', -0.3, 0.3))
    ahead = vector(np.cos(aside), np.sin(aside), steep)
    axis = draws.uniform('axis', -1, 1, (3,)) * np.array([0.3, 0.5, 0.0])
    axis = np.where(driving[:, None], 0.0, axis) + vector(
        0, 0, np.where(axis[:, 2] < 0, -1.0, 1.0)
    )
    axis = axis * np.where(draws.chance('other way', 0.5), 1, -1)[:, None]
    pose = rig.poses(np.zeros((n, 1)))[:, 0, 0]
    per_metre, per_radian = _rates(pose, mounted, intrinsics, size, standing, ahead, axis)
    # The path itself is level: `heading` points along it, the rig is turned back on it.
    level = vector(np.cos(aside + rig.heading[:, 0]), np.sin(aside + rig.heading[:, 0]), steep)
    radius = np.linalg.norm(mounted[..., :3, 3], axis=-1).max(1)
    room = (_room(pose, level, standing) - radius).clip(0)
    step = np.diff(seconds, axis=1).mean(1) if seconds.shape[1] > 1 else np.ones(n)
    longest = np.abs(seconds).max(1).clip(1e-6)
    speed = np.minimum((1 - share) * want / (per_metre * step), _FREE * room / longest)
    rate = (want - speed * per_metre * step).clip(0) / (per_radian * step)
    sway = draws.uniform('sway', 0, 0.5) * ~driving
    rig.speed[:, 0], rig.climb[:, 0] = speed, speed * steep
    rig.heading[:, 0] += aside
    rig.tilt[:, 0, 2] -= aside
    rig.spin[:, 0] = rate[:, None] * axis
    rig.rock[:, 0] = (want * step / per_radian * sway)[:, None] * draws.uniform(
        'rock', -1, 1, (3,)
    )
    rig.frequency[:, 0] = draws.uniform('frequency', 0.05, 0.25) / step
    return rig


def _rates(
    pose: np.ndarray,
    mounted: np.ndarray,
    intrinsics: np.ndarray,
    size: tuple[int, int],
    standing: Bodies,
    ahead: np.ndarray,
    axis: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean flow over all views [B] of a metre along `ahead`, and of a radian about `axis`."""
    height, width = size
    x = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * width - 0.5
    y = (np.arange(_ROWS) + 0.5) / _ROWS * height - 0.5
    u, v = (grid.ravel() for grid in np.meshgrid(x, y))
    k = intrinsics[..., None]
    rays = vector(
        (u - k[:, :, 0, 2]) / k[:, :, 0, 0], (v - k[:, :, 1, 2]) / k[:, :, 1, 1], 1.0
    ).swapaxes(-1, -2)
    depth, _ = probe(standing, pose[:, None] @ mounted, rays)
    turned = mounted[..., :3, :3].swapaxes(-1, -2)
    focal = np.stack([k[:, :, 0, 0], k[:, :, 1, 1]], 2)

    def flow(velocity: np.ndarray) -> np.ndarray:
        """Mean |flow| [B] of points of depth 1 with velocities [B, V, 3, R] before the camera."""
        moved = focal * (velocity[:, :, :2] - rays[:, :, :2] * velocity[:, :, 2:])
        return np.linalg.norm(moved, axis=2).mean((1, 2))

    going = -(turned @ ahead[:, None, :, None]) / depth[:, :, None]
    about = (turned @ axis[:, None, :, None])[..., 0]
    return flow(going).clip(1e-3), flow(
        -np.cross(about[:, :, None], rays.swapaxes(-1, -2)).swapaxes(-1, -2)
    )


def _room(pose: np.ndarray, level: np.ndarray, standing: Bodies) -> np.ndarray:
    """Metres [B] that are free along a direction [B, 3] of the world, and against it."""
    eye = np.broadcast_to(np.eye(4), (len(pose), 1, 4, 4)).copy()
    eye[:, 0, :3, 3] = pose[:, :3, 3]
    away, _ = probe(standing, eye, np.stack([level, -level], -1)[:, None])
    return away.min((1, 2))

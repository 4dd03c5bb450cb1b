"""Whole scenes from seeds: a place, a rig in it, things that move."""

from __future__ import annotations

from fourd_perception.synthetic.generator.bodies import Bodies
from fourd_perception.synthetic.generator.cameras import lenses, mounts, rig_path
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.materials import draw_materials
from fourd_perception.synthetic.generator.movers import movers
from fourd_perception.synthetic.generator.places import open_ground, room, street, SURFACES
from fourd_perception.synthetic.generator.scene import Scenes, stacked
from fourd_perception.synthetic.generator.spec import SceneSpec
import numpy as np

STILL, NO_MOVERS = 0.20, 0.25
_PLACES = (room, street, open_ground)
_SHARES = {
    'mixed': (0.55, 0.2, 0.25),
    'hand_held': (0.7, 0.1, 0.2),
    'rig': (0.5, 0.3, 0.2),
    'still': (0.6, 0.2, 0.2),
    'street': (0.0, 1.0, 0.0),
}


def compose(draws: Draws, spec: SceneSpec) -> Scenes:
    """The scenes of these draws."""
    n = len(draws)
    kind = draws.choice('place', _SHARES[spec.setting])
    parts, order = [], []
    for number, place in enumerate(_PLACES):
        chosen = np.flatnonzero(kind == number)
        if len(chosen):
            parts.append(place(draws.of_clips(chosen).within('place')))
            order.append(chosen)
    around = stacked(parts, np.argsort(np.concatenate(order)))
    interval = draws.log_uniform('interval', 0.03, 0.4)
    instants = np.arange(spec.instants) - 0.5 * (spec.instants - 1)
    seconds = interval[:, None] * instants
    still = draws.chance('still', STILL) & (spec.setting == 'mixed')
    still |= spec.setting == 'still'
    driving = (kind == 1) & (draws.chance('driving', 0.8) | (spec.setting == 'street'))
    k = lenses(draws.within('lenses'), spec.views, spec.size)
    rig = rig_path(
        draws.within('rig'),
        around.spot,
        around.heading,
        around.depth,
        k[:, 0, 0, 0],
        interval,
        driving,
        still,
    )
    mounted = mounts(draws.within('mounts'), spec.views, around.depth)
    cameras = camera_poses(rig, mounted, seconds[..., None])[..., 0, :, :]
    none = draws.chance('no movers', NO_MOVERS) | (not spec.movers)
    first = around.links.place.shape[1]
    moving, paths = movers(
        draws.within('movers'), cameras, k, seconds, spec.size, around.depth, none, first
    )
    standing = around.bodies
    near = _near(standing, cameras, np.minimum(0.3, 0.1 * around.depth))
    blurred = draws.chance('blurred', 0.3)
    return Scenes(
        bodies=Bodies.beside([standing.without(near), moving]),
        links=Links.beside([around.links, paths]),
        materials=draw_materials(draws.within('materials'), SURFACES, around.depth),
        lights=around.lights,
        rig=rig,
        mounts=mounted,
        intrinsics=k,
        seconds=seconds,
        exposure=interval * draws.uniform('exposure', 0.2, 0.9) * blurred,
    )


def camera_poses(rig: Links, mounted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """world_from_camera [B, V, T, S, 4, 4] at seconds [B, T, S]."""
    b, t, s = seconds.shape
    world_from_rig = rig.poses(seconds.reshape(b, t * s))
    return (world_from_rig[:, :1] @ mounted[:, :, None]).reshape(b, -1, t, s, 4, 4)


def _near(standing: Bodies, cameras: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Bool [B, P]: standing things (not the background) that a camera comes too near."""
    places = cameras[..., :3, 3].reshape(len(cameras), 1, -1, 3) - standing.place[:, :, None]
    turned = standing.local_poses()[..., :3, :3].swapaxes(-1, -2)[:, :, None] @ places[..., None]
    excess = np.abs(turned[..., 0]) - standing.half[:, :, None]
    distance = np.linalg.norm(np.maximum(excess, 0), axis=-1).min(-1)
    return (distance < least[:, None]) & (standing.instance > 0)

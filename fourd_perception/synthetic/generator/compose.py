"""Whole scenes from seeds: a place, a rig in it, things that move, light and cameras."""

from __future__ import annotations

from fourd_perception.synthetic.generator.bodies import Bodies
from fourd_perception.synthetic.generator.cameras import (
    AROUND,
    lenses,
    mounts,
    resting_rig,
    rig_kinds,
    set_off,
)
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.lights import draw_lights
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.materials import draw_materials
from fourd_perception.synthetic.generator.movers import movers, View
from fourd_perception.synthetic.generator.photograph import draw_cameras
from fourd_perception.synthetic.generator.places import open_ground, room, street
from fourd_perception.synthetic.generator.scene import Scenes, stacked, Surroundings
from fourd_perception.synthetic.generator.spec import SceneSpec
import numpy as np

_STILL, _NO_MOVERS, _BLURRED = 0.20, 0.25, 0.30
_PLACES = (room, street, open_ground)
_SHARES = {
    'mixed': (0.5, 0.25, 0.25),
    'hand_held': (0.65, 0.1, 0.25),
    'rig': (0.5, 0.3, 0.2),
    'still': (0.6, 0.2, 0.2),
    'street': (0.0, 1.0, 0.0),
}
_ROOM, _STREET, _ = range(3)


def compose(draws: Draws, spec: SceneSpec) -> Scenes:
    """The scenes of these draws."""
    kind = draws.choice('place', _SHARES[spec.setting])
    around = _place(draws, kind, spec)
    indoors, on_street = kind == _ROOM, kind == _STREET
    seconds = _seconds(draws, spec.instants)
    rigs = rig_kinds(draws.within('rigs'), spec.views, indoors)
    still = draws.chance('still', _STILL) & (spec.setting == 'mixed')
    # Cameras round a hall stand, and its middle is theirs.
    still |= (rigs == AROUND) | (spec.setting == 'still')
    middle = (rigs == AROUND)[:, None] & np.array([True, True, False])
    spot = np.where(middle, 0.0, around.spot)
    heading = np.where(rigs == AROUND, 0.0, around.heading)
    driving = on_street & (draws.chance('driving', 0.7) | (spec.setting in ('street', 'rig')))
    k = lenses(draws.within('lenses'), spec.views, spec.size)
    mounted = mounts(draws.within('mounts'), spec.views, rigs, around.extent)
    rig = resting_rig(draws.within('rest'), spot, heading, ~driving & (rigs != AROUND))
    least = np.minimum(0.35, 0.08 * around.reach)
    standing = _cleared(around.bodies, camera_poses(rig, mounted, 0 * seconds[..., None]), least)
    rig = set_off(
        draws.within('path'), rig, mounted, k, spec.size, standing, seconds, driving, still
    )
    cameras = camera_poses(rig, mounted, seconds[..., None])
    standing = _cleared(standing, cameras, 0.5 * least)
    allowed = ~draws.chance('no movers', _NO_MOVERS) & spec.movers
    moving, paths = movers(
        draws.within('movers'),
        View(cameras[..., 0, :, :], k, seconds, spec.size),
        standing,
        indoors,
        on_street,
        allowed,
        1,
        spec.held_out,
    )
    step = np.ptp(seconds, axis=1) / max(spec.instants - 1, 1)
    return Scenes(
        bodies=Bodies.beside([standing, moving]),
        links=Links.beside([Links.still(len(draws), 1), paths]),
        materials=draw_materials(draws.within('materials'), around.reach, spec.held_out),
        lights=draw_lights(draws.within('lights'), around.lamp),
        cameras=draw_cameras(draws.within('cameras'), spec.views, spec.instants),
        rig=rig,
        mounts=mounted,
        intrinsics=k,
        seconds=seconds,
        exposure=step * draws.uniform('exposure', 0.15, 0.8) * draws.chance('blurred', _BLURRED),
        tracked=draws.uniform('tracked', shape=(spec.tracks, 4)),
    )


def camera_poses(rig: Links, mounted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """world_from_camera [B, V, T, S, 4, 4] at seconds [B, T, S]."""
    b, t, s = seconds.shape
    world_from_rig = rig.poses(seconds.reshape(b, t * s))
    return (world_from_rig[:, :1] @ mounted[:, :, None]).reshape(b, -1, t, s, 4, 4)


def _place(draws: Draws, kind: np.ndarray, spec: SceneSpec) -> Surroundings:
    parts, order = [], []
    for number, place in enumerate(_PLACES):
        chosen = np.flatnonzero(kind == number)
        if len(chosen):
            parts.append(place(draws.of_clips(chosen).within('place'), spec.held_out))
            order.append(chosen)
    return stacked(parts, np.argsort(np.concatenate(order)))


def _seconds(draws: Draws, instants: int) -> np.ndarray:
    """Seconds [B, T] around 0, evenly spaced or not."""
    jitter = draws.uniform('jitter', -0.35, 0.35, (instants,))
    jitter = jitter * draws.chance('uneven', 0.3)[:, None]
    even = np.arange(instants) - 0.5 * (instants - 1)
    return draws.log_uniform('interval', 0.03, 0.4)[:, None] * (even + jitter)


def _cleared(standing: Bodies, cameras: np.ndarray, least: np.ndarray) -> Bodies:
    """Without the things (not the background) that a camera comes nearer to than `least` [B]."""
    places = cameras[..., :3, 3].reshape(len(cameras), 1, -1, 3) - standing.place[:, :, None]
    turned = standing.local_poses()[..., :3, :3].swapaxes(-1, -2)[:, :, None] @ places[..., None]
    excess = np.abs(turned[..., 0]) - standing.half[:, :, None]
    distance = np.linalg.norm(np.maximum(excess, 0), axis=-1).min(-1)
    near = (distance < least[:, None]) & (standing.instance > 0)
    # A thing goes as a whole.
    gone = (near[:, :, None] & (standing.instance[:, :, None] == standing.instance[:, None])).any(
        1
    )
    return standing.without(gone & (standing.instance > 0))

"""Things that move by themselves, on paths that lead past what a camera sees."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.bodies import (
    ABSENT,
    Bodies,
    BOX,
    CYLINDER,
    DOME,
    ELLIPSOID,
    WEDGE,
)
from fourd_perception.synthetic.generator.chains import people, PERSON_LINKS, vehicles
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.materials import ANY
from fourd_perception.synthetic.generator.probes import probe
from fourd_perception.synthetic.generator.things import bodies, vector
import numpy as np

LOOSE, PEOPLE, VEHICLES = 6, 4, 4
MOVERS = LOOSE + PEOPLE + VEHICLES
FIRST_INSTANCE = 100
# Pixels between neighbouring instants.
LEAST_MOTION, MOST_MOTION = 0.1, 40.0
_LARGE, _CAMOUFLAGED, _EPIPOLAR, _STOPPING = 0.05, 0.15, 0.15, 0.25
_LARGE_SIZE = 0.65, 1.1


@dataclass(frozen=True, eq=False)
class View:
    """What movers must know of the cameras of B clips.

    world_from_camera: [B, V, T, 4, 4]; intrinsics [B, V, 3, 3]; seconds [B, T]; size (h, w)
    """

    world_from_camera: np.ndarray
    intrinsics: np.ndarray
    seconds: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Meeting:
    """Where and when N movers cross a ray of a camera. Arrays [B, N].

    place [.., 3]; away: depth before the camera; time; focal; tangent: of half the field of view;
    travel [.., 3]: motion of the camera between instants; behind: material behind the place
    """

    place: np.ndarray
    away: np.ndarray
    time: np.ndarray
    focal: np.ndarray
    tangent: np.ndarray
    travel: np.ndarray
    behind: np.ndarray


def movers(
    draws: Draws,
    view: View,
    standing: Bodies,
    indoors: np.ndarray,
    along_road: np.ndarray,
    allowed: np.ndarray,
    first_link: int,
    held_out: bool,
) -> tuple[Bodies, Links]:
    """Loose bodies, people and vehicles, 1 to 8 together where allowed [B].

    along_road: bool [B]: people and vehicles keep to the x axis; first_link: number of the first
    of their links.
    """
    large = draws.chance('large', _LARGE) & allowed
    meeting = _meetings(draws, view, standing, large)
    here = _chosen(draws, indoors, along_road, large, held_out) & allowed[:, None]
    surface = _surfaces(draws, meeting.behind)
    numbers = np.broadcast_to(FIRST_INSTANCE + np.arange(MOVERS), here.shape)
    loose = slice(0, LOOSE)
    on_foot = slice(LOOSE, LOOSE + PEOPLE)
    driving = slice(LOOSE + PEOPLE, MOVERS)
    half = _loose_sizes(draws, meeting, large)
    height = draws.uniform('height', 1.0, 1.95, (MOVERS,))
    toy = np.where(indoors, 0.22, 1.0)[:, None, None]
    hull = np.array([2.0, 0.85, 0.72]) * draws.uniform('hull', 0.75, 1.3, (MOVERS, 3)) * toy
    kind = np.repeat(np.arange(3), (LOOSE, PEOPLE, VEHICLES))
    # Balls around the middle of each.
    radius = np.choose(kind, [np.linalg.norm(half, axis=-1), 0.5 * height, hull[..., 0]])
    middle = np.choose(kind, [0 * height, 0.5 * height, hull[..., 2]])
    paths = _paths(draws, meeting, view, standing, radius, along_road)
    here &= ~_too_near(paths, view, radius, middle)
    parts = [
        _loose(draws, _links(paths, loose), half[:, loose], here[:, loose], first_link,
               numbers[:, loose], surface[:, loose, 0], held_out)
    ]  # fmt: skip
    strides = _links(paths, on_foot)
    tall = height[:, on_foot]
    strides.frequency[:] = np.abs(strides.speed) / (0.8 * tall)
    swing = draws.uniform('swing', 0.25, 0.6, (PEOPLE,))
    first_link += LOOSE
    parts.append(
        people(strides, tall, swing, first_link, here[:, on_foot], numbers[:, on_foot],
               surface[:, on_foot])
    )  # fmt: skip
    first_link += PERSON_LINKS * PEOPLE
    parts.append(
        vehicles(_links(paths, driving), hull[:, driving], first_link, here[:, driving],
                 numbers[:, driving], surface[:, driving])
    )  # fmt: skip
    return Bodies.beside([p[0] for p in parts]), Links.beside([p[1] for p in parts])


def _chosen(
    draws: Draws, indoors: np.ndarray, along_road: np.ndarray, large: np.ndarray, held_out: bool
) -> np.ndarray:
    """Which of the movers there are, bool [B, MOVERS]: the first of each kind."""
    count = 1 + draws.index('count', 8) * draws.chance('several', 0.75)
    loose, walking = np.where(along_road, 0.2, 0.45), np.where(indoors, 0.45, 0.35)
    kind = draws.uniform('kind', shape=(8,))
    kind = (kind > loose[:, None]).astype(int) + (kind > (loose + walking)[:, None])
    if held_out:
        kind[:] = 0
    kind[:, 0] = np.where(large, 0, kind[:, 0])
    kind = np.where(np.arange(8) < count[:, None], kind, -1)
    rooms = (LOOSE, PEOPLE, VEHICLES)
    wanted = [(kind == k).sum(1)[:, None] for k in range(3)]
    return np.concatenate([np.arange(room) < w for room, w in zip(rooms, wanted)], axis=1)


def _meetings(draws: Draws, view: View, standing: Bodies, large: np.ndarray) -> _Meeting:
    """Places before what a random pixel of a random image sees of the standing things."""
    n, shape = len(draws), (MOVERS,)
    height, width = view.size
    views, instants = view.world_from_camera.shape[1:3]
    clip = np.arange(n)[:, None]
    v, t = draws.index('view', views, shape), draws.index('instant', instants, shape)
    pose, k = view.world_from_camera[clip, v, t], view.intrinsics[clip, v]
    pixel = draws.uniform('pixel', 0.08, 0.92, (MOVERS, 2))
    pixel[:, 0] = np.where(large[:, None], 0.4 + 0.2 * pixel[:, 0], pixel[:, 0])
    focal = np.stack([k[..., 0, 0], k[..., 1, 1]], -1)
    rays = (pixel * [width, height] - k[..., :2, 2]) / focal
    rays = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
    depth, body = probe(standing, pose, rays[..., None])
    share = draws.uniform('away', 0.2, 0.9, shape)
    share[:, 0] = np.where(large, 0.3, share[:, 0])
    away = share * np.minimum(depth[..., 0], draws.log_uniform('far', 6, 40, shape))
    local = rays * away[..., None]
    place = (pose[..., :3, :3] @ local[..., None])[..., 0] + pose[..., :3, 3]
    after, before = np.minimum(t + 1, instants - 1), np.maximum(t - 1, 0)
    places = view.world_from_camera[..., :3, 3]
    behind = np.take_along_axis(standing.surface, body[..., 0], axis=1)
    return _Meeting(
        place=place,
        away=away,
        time=view.seconds[clip, t],
        focal=focal[..., 0],
        tangent=0.5 * width / focal[..., 0],
        travel=places[clip, v, after] - places[clip, v, before],
        behind=behind,
    )


def _surfaces(draws: Draws, behind: np.ndarray) -> np.ndarray:
    """Materials [B, MOVERS, 3]; some wear what is behind them."""
    own = draws.index('surface', ANY.stop - ANY.start, (MOVERS, 3)) + ANY.start
    hidden = draws.chance('camouflaged', _CAMOUFLAGED, (MOVERS,))
    return np.where(hidden[..., None], behind[..., None], own)


def _loose_sizes(draws: Draws, meeting: _Meeting, large: np.ndarray) -> np.ndarray:
    """Half sizes [B, MOVERS, 3] by their share of the view; the first may be large."""
    half = draws.log_uniform('half', 0.03, 0.35, (MOVERS, 3))
    half = half * (meeting.away * meeting.tangent)[..., None]
    # Seen from the front a body of this size covers the wanted share of half the image's width.
    cover = draws.uniform('cover', *_LARGE_SIZE) * meeting.tangent[:, 0]
    most = meeting.away[:, 0] * cover / (1 + cover)
    slab = most[:, None] * draws.uniform('large', 0.85, 1.0, (3,))
    half[:, 0] = np.where(large[:, None], slab, half[:, 0])
    return half


def _paths(
    draws: Draws,
    meeting: _Meeting,
    view: View,
    standing: Bodies,
    radius: np.ndarray,
    along_road: np.ndarray,
) -> Links:
    """Links [B, MOVERS] whose own motion between instants is log-uniform from .1 to 40 px.

    They stand still where something is in the way, and some whenever they like.
    """
    n, shape = len(draws), (MOVERS,)
    loose = np.arange(MOVERS) < LOOSE
    heading = draws.uniform('heading', -np.pi, np.pi, shape)
    steep = draws.uniform('steep', -0.5, 0.5, shape) * loose
    # The image of such a path lies on epipolar lines, where no single pair tells it from depth.
    epipolar = draws.chance('epipolar', _EPIPOLAR, shape)
    travel = np.linalg.norm(meeting.travel[..., :2], axis=-1)
    epipolar &= travel > 1e-6
    sign = np.where(draws.chance('against', 0.5, shape), -1.0, 1.0)
    course = np.arctan2(sign * meeting.travel[..., 1], sign * meeting.travel[..., 0])
    heading = np.where(epipolar, course, heading)
    slope = sign * meeting.travel[..., 2] / travel.clip(1e-6)
    steep = np.where(epipolar & loose, np.clip(slope, -2, 2), steep)
    road = along_road[:, None] & ~loose & draws.chance('keeps to the road', 0.8, shape)
    heading = np.where(road, np.where(np.abs(heading) > 0.5 * np.pi, np.pi, 0.0), heading)
    links = Links.still(n, MOVERS)
    links.heading[:] = heading
    flow = draws.log_uniform('flow', LEAST_MOTION, MOST_MOTION, shape)
    step = np.diff(view.seconds, axis=1).mean(1) if view.seconds.shape[1] > 1 else np.ones(n)
    links.speed[:] = flow * meeting.away / (meeting.focal * step[:, None])
    links.climb[:] = links.speed * steep
    curved = draws.chance('curved', 0.4, shape) & ~epipolar & ~road
    bend = draws.uniform('bend', -0.6, 0.6, shape) * curved
    links.yaw_rate[:] = bend * links.speed / meeting.away.clip(0.5)
    place = meeting.place.copy()
    place[..., 2] = np.where(loose, place[..., 2], 0.0)
    spins = draws.chance('spins', 0.5, shape) & loose
    rate = links.speed / radius.clip(1e-3) * spins
    links.spin[:] = draws.uniform('spin', -0.7, 0.7, (MOVERS, 3)) * rate[..., None]
    ahead = vector(np.cos(heading), np.sin(heading), steep)
    _stop(draws, links, ahead, place, radius, meeting.time, standing)
    # The path goes through the place at its own time.
    links.place[:] = place - _at(links, meeting.time)
    links.phase[:] = draws.uniform('phase', 0, 2 * np.pi, shape)
    return links


def _at(links: Links, time: np.ndarray) -> np.ndarray:
    """Places [B, L, 3] of links at a time [B, L] of each."""
    every = links.poses(time)[..., :3, 3]
    own = np.arange(every.shape[1])
    return every[:, own, own]


def _stop(
    draws: Draws,
    links: Links,
    ahead: np.ndarray,
    place: np.ndarray,
    radius: np.ndarray,
    time: np.ndarray,
    standing: Bodies,
) -> None:
    """Set start and stop: before walls, and for some at any time."""
    shape = links.speed.shape
    eye = np.broadcast_to(np.eye(4), (*shape, 4, 4)).copy()
    eye[..., :3, 3] = place + vector(0, 0, 0.3 * radius)
    room, _ = probe(standing, eye, np.stack([ahead, -ahead], -1))
    seconds = (room - radius[..., None]).clip(0) / links.speed[..., None].clip(1e-9)
    links.stop[:], links.start[:] = time + seconds[..., 0], time - seconds[..., 1]
    stops, starts = (
        draws.chance('stops', _STOPPING, shape[1:]),
        draws.chance('starts', 0.5, shape[1:]),
    )
    links.stop[:] = np.where(stops & ~starts, np.minimum(links.stop, time), links.stop)
    links.start[:] = np.where(stops & starts, np.maximum(links.start, time), links.start)


def _too_near(paths: Links, view: View, radius: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Bool [B, MOVERS]: the ball around a mover, `middle` above its link, reaches a camera."""
    places = paths.poses(view.seconds)[..., :3, 3]
    places[..., 2] += middle[..., None]
    cameras = view.world_from_camera[..., :3, 3]
    apart = np.linalg.norm(places[:, :, None] - cameras[:, None], axis=-1).min((2, 3))
    return apart < 1.02 * radius + 0.1


def _links(paths: Links, which: slice) -> Links:
    return Links(**{name: values[:, which].copy() for name, values in vars(paths).items()})


def _loose(
    draws: Draws,
    paths: Links,
    half: np.ndarray,
    here: np.ndarray,
    first_link: int,
    instance: np.ndarray,
    surface: np.ndarray,
    held_out: bool,
) -> tuple[Bodies, Links]:
    """Single bodies of any shape, turned at random."""
    kinds = np.array([WEDGE, DOME] if held_out else [BOX, ELLIPSOID, CYLINDER])
    kind = kinds[draws.index('shape', len(kinds), (LOOSE,))]
    half = half.copy()
    half[..., 1] = np.where(kind == CYLINDER, half[..., 0], half[..., 1])
    turn = draws.uniform('turn', -np.pi, np.pi, (LOOSE, 3))
    clips, count = here.shape
    made = bodies(
        clips, count, np.where(here, kind, ABSENT), half, np.zeros(3), turn,
        first_link + np.arange(count), instance, surface,
    )  # fmt: skip
    return made, paths

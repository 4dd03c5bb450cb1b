"""Movers with joints: people who walk, vehicles whose wheels turn."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.synthetic.generator.bodies import (
    ABSENT,
    Bodies,
    BOX,
    CYLINDER,
    ELLIPSOID,
)
from fourd_perception.synthetic.generator.links import Links
from fourd_perception.synthetic.generator.things import bodies, vector
import numpy as np

# Joints of a person of height 1: where limbs hang, and how long they are.
_HIP, _KNEE, _SHOULDER, _ELBOW = 0.5, 0.26, 0.8, 0.62
PERSON_LINKS, PERSON_BODIES = 9, 11
VEHICLE_LINKS, VEHICLE_BODIES = 3, 7


def people(
    paths: Links,
    height: np.ndarray,
    swing: np.ndarray,
    first_link: int,
    here: np.ndarray,
    instance: np.ndarray,
    surface: np.ndarray,
) -> tuple[Bodies, Links]:
    """Walking people [B, N]: 9 links and 11 bodies each.

    paths:    links [B, N] at the ground, x forward; their frequency is that of the strides
    height:   [B, N] metres; swing [B, N]: radians that thighs swing to each side
    here:     bool [B, N]; instance [B, N]; surface [B, N, 3] of shirt, trousers and skin
    """
    limbs = [paths]
    h = height
    for side in (1.0, -1.0):
        phase = 0.5 * np.pi * (1 - side)
        hip = vector(0.0, 0.07 * side * h, _HIP * h)
        shoulder = vector(0.0, 0.14 * side * h, _SHOULDER * h)
        limbs.append(_limb(paths, hip, swing, phase))
        # Knees bend backwards only, elbows forwards only.
        limbs.append(_limb(paths, hip, swing, phase, vector(0, 0, (_KNEE - _HIP) * h), swing, 1.0))
        limbs.append(_limb(paths, shoulder, 0.8 * swing, phase + np.pi))
        limbs.append(
            _limb(
                paths,
                shoulder,
                0.8 * swing,
                phase + np.pi,
                vector(0, 0, (_ELBOW - _SHOULDER) * h),
                0.4 * swing,
                -1.0,
            )
        )
    parts: list[tuple[int, int, tuple[float, ...], tuple[float, ...], int]] = [
        (ELLIPSOID, 0, (0.02, 0, 0.93), (0.06, 0.055, 0.075), 2),
        (ELLIPSOID, 0, (0, 0, 0.68), (0.08, 0.125, 0.17), 0),
        (ELLIPSOID, 0, (0, 0, 0.5), (0.075, 0.105, 0.08), 1),
    ]
    for k in (1, 5):
        parts += [
            (CYLINDER, k, (0, 0, -0.12), (0.045, 0.045, 0.13), 1),
            (CYLINDER, k + 1, (0, 0, -0.13), (0.035, 0.035, 0.13), 1),
            (CYLINDER, k + 2, (0, 0, -0.09), (0.03, 0.03, 0.1), 0),
            (CYLINDER, k + 3, (0, 0, -0.1), (0.025, 0.025, 0.1), 2),
        ]
    return _attached(
        parts, h[..., None] * np.ones(3), first_link, here, instance, surface
    ), Links.beside(limbs)


def vehicles(
    paths: Links,
    half: np.ndarray,
    first_link: int,
    here: np.ndarray,
    instance: np.ndarray,
    surface: np.ndarray,
) -> tuple[Bodies, Links]:
    """Driving vehicles [B, N]: 3 links (body, front and rear axle) and 7 bodies each.

    paths: links [B, N] at the ground, x forward; half [B, N, 3] metres; surface [B, N, 3] of body,
    cabin and wheels. Front wheels roll as rear ones do; none of them slips.
    """
    radius = 0.32 * half[..., 2]
    axles = [paths]
    for x in (0.6, -0.6):
        wheel = replace(
            paths,
            hinge_place=paths.hinge_place.copy(),
            hinge_rate=paths.hinge_rate.copy(),
        )
        wheel.hinge_place[:, :, 0] = vector(x * half[..., 0], 0.0, radius)
        wheel.hinge_rate[:, :, 0] = paths.speed / radius
        axles.append(wheel)
    parts: list[tuple[int, int, tuple[float, ...], tuple[float, ...], int]] = [
        (BOX, 0, (0, 0, 0.75), (1, 0.95, 0.42), 0),
        (BOX, 0, (-0.1, 0, 1.5), (0.55, 0.85, 0.45), 1),
        (BOX, 0, (1, 0, 0.7), (0.02, 0.8, 0.12), 2),
    ]
    for k in (1, 2):
        parts += [(CYLINDER, k, (0, side * 0.86, 0), (0.32, 0.14, 0.32), 2) for side in (1, -1)]
    return _attached(parts, half, first_link, here, instance, surface), Links.beside(axles)


def _limb(
    paths: Links,
    joint: np.ndarray,
    swing: np.ndarray,
    phase: float,
    lower: np.ndarray | None = None,
    bend: np.ndarray | None = None,
    backward: float = 1.0,
) -> Links:
    """Links that hang on a joint, or with `lower` on a second joint below it."""
    limb = replace(
        paths,
        **{
            name: getattr(paths, name).copy()
            for name in ('hinge_place', 'hinge_bend', 'hinge_swing', 'hinge_phase')
        },
    )
    limb.hinge_place[:, :, 0] = joint
    limb.hinge_swing[..., 0] = swing
    limb.hinge_phase[..., 0] = phase
    if lower is not None and bend is not None:
        limb.hinge_place[:, :, 1] = lower
        limb.hinge_bend[..., 1] = backward * bend
        limb.hinge_swing[..., 1] = backward * 0.9 * bend
        limb.hinge_phase[..., 1] = phase + 0.5 * np.pi
    return limb


def _attached(
    parts: list[tuple[int, int, tuple[float, ...], tuple[float, ...], int]],
    scale: np.ndarray,
    first_link: int,
    here: np.ndarray,
    instance: np.ndarray,
    surface: np.ndarray,
) -> Bodies:
    """Bodies [B, N * parts] on the links of each of N things; sizes are shares of scale [B, N, 3].

    Rolled cylinders are given by (radius, half length, radius).
    """
    clips, count = here.shape
    kind, link, centre, half, slot = (np.array(column) for column in zip(*parts))
    rolled = (kind == CYLINDER) & (half[:, 1] != half[:, 0])
    sizes = half * scale[:, :, None]
    wheels = np.stack([sizes[..., 2], sizes[..., 2], sizes[..., 1]], -1)
    sizes = np.where(rolled[:, None], wheels, sizes)
    turn = vector(np.where(rolled, 0.5 * np.pi, 0.0), 0.0, 0.0)
    shape = clips, count, len(parts)
    return bodies(
        clips,
        count * len(parts),
        np.where(here[..., None], kind, ABSENT).reshape(clips, -1),
        sizes.reshape(clips, -1, 3),
        (centre * scale[:, :, None]).reshape(clips, -1, 3),
        np.broadcast_to(turn, (*shape, 3)).reshape(clips, -1, 3),
        np.broadcast_to(first_link + count * link + np.arange(count)[:, None], shape).reshape(
            clips, -1
        ),
        np.broadcast_to(instance[..., None], shape).reshape(clips, -1),
        np.take_along_axis(surface, np.broadcast_to(slot, shape), axis=2).reshape(clips, -1),
    )

"""Frames that move: paths of vehicles, people and cameras, limbs and wheels on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from fourd_perception.geometry.poses import transform
import numpy as np

_FOREVER = 1e9


@dataclass(frozen=True, eq=False)
class Links:
    """L moving frames in each of B clips, metres, seconds and radians; all float64.

    A link drives along its own x axis on a circle about z, sways and rocks around that path, and
    may hang on two hinges (about y), as a shank hangs on hip and knee. It stands still before
    `start` and after `stop`.

    place:       [B, L, 3] at time 0 of its own clock
    heading:     [B, L] about z
    tilt:        [B, L, 3] roll, pitch, yaw of the body on its path
    speed, climb: [B, L] along the heading, along z
    yaw_rate:    [B, L] of the heading
    spin:        [B, L, 3] rates of roll, pitch, yaw
    sway, rock:  [B, L, 3] amplitudes of place (in the world) and of roll, pitch, yaw
    frequency, phase: [B, L] of sway, rock and hinges
    start, stop: [B, L]
    hinge_place: [B, L, 2, 3] in the frame before the hinge
    hinge_bend, hinge_swing, hinge_phase, hinge_rate: [B, L, 2] constant angle, amplitude of the
                 swing, its phase, rate of a steady turn
    """

    place: np.ndarray
    heading: np.ndarray
    tilt: np.ndarray
    speed: np.ndarray
    climb: np.ndarray
    yaw_rate: np.ndarray
    spin: np.ndarray
    sway: np.ndarray
    rock: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    hinge_place: np.ndarray
    hinge_bend: np.ndarray
    hinge_swing: np.ndarray
    hinge_phase: np.ndarray
    hinge_rate: np.ndarray

    @staticmethod
    def still(clips: int, links: int) -> Links:
        """Links at the origin that never move."""
        shape = clips, links
        vectors = 'place', 'tilt', 'spin', 'sway', 'rock'
        sizes: dict[str, tuple[int, ...]] = {'hinge_place': (2, 3)} | dict.fromkeys(vectors, (3,))
        sizes |= {f'hinge_{name}': (2,) for name in ('bend', 'swing', 'phase', 'rate')}
        values = {f.name: np.zeros((*shape, *sizes.get(f.name, ()))) for f in fields(Links)}
        values['start'] -= _FOREVER
        values['stop'] += _FOREVER
        return Links(**values)

    @staticmethod
    def beside(parts: Sequence[Links]) -> Links:
        """All links of the same clips, one list after another."""
        return Links(
            **{
                f.name: np.concatenate([getattr(p, f.name) for p in parts], axis=1)
                for f in fields(Links)
            }
        )

    def poses(self, seconds: np.ndarray) -> np.ndarray:
        """world_from_link [B, L, S, 4, 4] at seconds [B, S]."""
        time = np.clip(seconds[:, None], self.start[..., None], self.stop[..., None])
        wave = 2 * np.pi * self.frequency[..., None] * time + self.phase[..., None]
        swing = np.sin(wave)[..., None]
        turned = self.yaw_rate[..., None] * time
        # A chord of the circle: its length shrinks by sin(x)/x, it points half way round.
        middle = self.heading[..., None] + 0.5 * turned
        chord = self.speed[..., None] * time * np.sinc(0.5 * turned / np.pi)
        path = np.stack(
            [chord * np.cos(middle), chord * np.sin(middle), self.climb[..., None] * time], -1
        )
        place = self.place[:, :, None] + path + self.sway[:, :, None] * swing
        angles = self.tilt[:, :, None] + self.spin[:, :, None] * time[..., None]
        angles = angles + self.rock[:, :, None] * swing
        heading = np.zeros_like(angles)
        heading[..., 2] = self.heading[..., None] + turned
        pose = transform(rotations(heading) @ rotations(angles), place)
        for k in range(2):
            angle = self.hinge_bend[..., k, None] + self.hinge_rate[..., k, None] * time
            phase = self.hinge_phase[..., k, None]
            angle = angle + self.hinge_swing[..., k, None] * np.sin(wave + phase)
            bend = np.zeros_like(angles)
            bend[..., 1] = angle
            pose = pose @ transform(rotations(bend), self.hinge_place[:, :, None, k])
        return pose


def rotations(angles: np.ndarray) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll) [..., 3, 3] of (roll, pitch, yaw) [..., 3] in radians."""
    (cr, cp, cy), (sr, sp, sy) = (
        np.moveaxis(np.cos(angles), -1, 0),
        np.moveaxis(np.sin(angles), -1, 0),
    )
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)

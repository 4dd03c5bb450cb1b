"""Where the lamp does not reach: what a camera in the lamp's place does not see."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.synthetic.generator.bodies import ABSENT
from fourd_perception.synthetic.generator.casting import Beams, cast, Forms, MISS
from fourd_perception.synthetic.generator.culling import in_windows, Outlines, outlines
from fourd_perception.synthetic.generator.frames import forms_of, Frames, inverse
from fourd_perception.synthetic.generator.kernels import kernel
import torch

# What is nearer to the point than this, metres and share of its distance, is the surface itself.
_MARGIN, _SHARE = 0.01, 2e-4
_NEAREST = 0.05


@dataclass(frozen=True, eq=False)
class Lamps:
    """Lamps seen as cameras, one per frame of moving bodies, that look at the cameras' places.

    number:          int64 [F] the lamp of each numbered frame of the cameras
    lamp_from_frame: float32 [F, 12], rows of 3 x 4
    forms, outlines: of the bodies before the lamps
    """

    number: torch.Tensor
    lamp_from_frame: torch.Tensor
    forms: Forms
    outlines: Outlines


def lamps_at(frames: Frames, lamp: torch.Tensor, caster: torch.Tensor) -> Lamps:
    """Lamps at places [B, 3] of the world; caster: bool [B, P] bodies that throw shadows."""
    b, v, t, s = frames.shape
    world_from_camera = frames.world_from_camera
    target = world_from_camera[:, :, :, :, :3, 3].mean((1, 2, 3))
    lamp_from_world = inverse(_looking(lamp.double(), target))[:, None, None, None]
    lamp_from_camera = lamp_from_world @ world_from_camera
    # All views of an instant see the bodies at the same places.
    posed = lamp_from_camera[:, 0, ..., None, :, :] @ frames.camera_from_body[:, 0]
    half, kind = (
        values[:, None].expand(-1, t * s, *values.shape[1:]).flatten(0, 1)
        for values in (frames.half, torch.where(caster, frames.kind, ABSENT))
    )
    flat = posed.flatten(0, 2)
    number = torch.arange(b * t * s, device=lamp.device).view(b, 1, t * s)
    return Lamps(
        number=number.expand(-1, v, -1).flatten(),
        lamp_from_frame=lamp_from_camera[..., :3, :].flatten(0, 3).flatten(1).float(),
        forms=forms_of(flat, half, kind, frames.forms.compiled),
        outlines=outlines(flat[..., :3, :], half, kind != ABSENT, frames.forms.compiled),
    )


def _looking(place: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Poses [B, 4, 4] at places whose z axis points at targets [B, 3]."""
    z = torch.nn.functional.normalize(target - place, dim=-1)
    # Any direction that z is far from.
    other = torch.eye(3, dtype=z.dtype, device=z.device)[z.abs().argmin(-1)]
    x = torch.nn.functional.normalize(torch.linalg.cross(other, z), dim=-1)
    pose = torch.zeros(len(place), 4, 4, dtype=place.dtype, device=place.device)
    pose[:, :3, :3] = torch.stack([x, torch.linalg.cross(z, x), z], -1)
    pose[:, :3, 3], pose[:, 3, 3] = place, 1
    return pose


def shadowed(lamps: Lamps, beams: Beams, length: torch.Tensor) -> torch.Tensor:
    """1 where a body stands between what a ray has met and the lamp, else 0, [N, R]."""
    maps = lamps.lamp_from_frame[beams.frame]
    rays, depth, low, high = kernel(_from_lamp, lamps.forms.compiled)(
        maps, beams.directions, length
    )
    number = lamps.number[beams.frame]
    near = in_windows(lamps.outlines, number, low, high)
    found, _ = cast(Beams(number, torch.zeros_like(beams.origin), rays, near), lamps.forms)
    return (found < depth * (1 - _SHARE) - _MARGIN).float()


def _from_lamp(
    maps: torch.Tensor, directions: torch.Tensor, length: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rays (x, y, 1) [N, 3, R] of the lamp to what is met, its depth [N, R], and their bounds.

    Rays that have met nothing, or something behind the lamp, have depth 0 and no bounds.
    """
    x, y, z = (directions * length[:, None].clamp(max=MISS)).unbind(1)
    m = maps[..., None].unbind(1)
    there = [m[i] * x + m[i + 1] * y + m[i + 2] * z + m[i + 3] for i in (0, 4, 8)]
    seen = (length < MISS) & (there[2] > _NEAREST)
    depth = torch.where(seen, there[2], 0.0)
    scale = torch.where(seen, 1 / there[2], 0.0)
    plane = torch.stack([there[0] * scale, there[1] * scale], 1)
    low = torch.where(seen[:, None], plane, float('inf')).amin(2)
    high = torch.where(seen[:, None], plane, -float('inf')).amax(2)
    return torch.cat([plane, torch.ones_like(depth)[:, None]], 1), depth, low, high

"""Where the lamp does not reach."""

from __future__ import annotations

from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.culling import on_the_way
from fourd_perception.synthetic.generator.frames import Frames
import torch

# What is nearer to the point than this share of the way is the surface itself.
_MARGIN = 2e-3


def shadowed(
    frames: Frames, beams: Beams, length: torch.Tensor, lamp: torch.Tensor, caster: torch.Tensor
) -> torch.Tensor:
    """1 where a body stands between a point and the lamp [N, 3], else 0, [N, R].

    caster: bool [B, P] bodies that throw shadows
    """
    out = torch.zeros_like(length)
    met = length < MISS
    least = torch.where(met, length, MISS).amin(1)
    most = torch.where(met, length, 0.0).amax(1)
    low, high = beams.directions.amin(2), beams.directions.amax(2)
    middle, reach = 0.5 * (low + high), 0.5 * (high - low).norm(dim=1)
    # The ball around all points of a beam.
    centre = middle * (0.5 * (least + most))[:, None]
    radius = reach * most + 0.5 * (most - least) * middle.norm(dim=1)
    near = on_the_way(frames.outlines, beams.frame, lamp, centre, radius)
    near &= caster[frames.clip(beams.frame)] & (most > 0)[:, None]
    some = near.any(1).nonzero()[:, 0]
    aim = beams.directions[some] * length[some, None].clamp(max=MISS) - lamp[some, :, None]
    found, _ = cast(Beams(beams.frame[some], lamp[some], aim, near[some]), frames.forms)
    out[some] = (found < 1 - _MARGIN).float()
    return out

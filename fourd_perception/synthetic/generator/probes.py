"""Depths that some rays find among standing things, before cameras and movers are set off."""

from __future__ import annotations

from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.generator.bodies import Bodies
from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.frames import forms_of
import numpy as np
import torch


def probe(
    standing: Bodies, world_from_eye: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths float64 [B, N, R] along rays [B, N, 3, R] from eyes [B, N, 4, 4], inf on the sky.

    All bodies are of the world. Also which body is met, int64 [B, N, R].
    """
    b, n = world_from_eye.shape[:2]
    eye_from_body = invert(world_from_eye)[:, :, None] @ standing.local_poses()[:, None]
    kinds = np.broadcast_to(standing.kind[:, None], eye_from_body.shape[:3])
    halves = np.broadcast_to(standing.half[:, None], (*eye_from_body.shape[:3], 3))
    posed, kind, half = (
        torch.from_numpy(v.copy()).flatten(0, 1) for v in (eye_from_body, kinds, halves)
    )
    rays = torch.from_numpy(directions).float().flatten(0, 1)
    beams = Beams(torch.arange(b * n), torch.zeros(b * n, 3), rays, kind >= 0)
    length, body = cast(beams, forms_of(posed, half, kind, compiled=False))
    shape = directions.shape[0], directions.shape[1], directions.shape[3]
    found = length.double().numpy().reshape(shape)
    return np.where(found > MISS, np.inf, found), body.numpy().reshape(shape)

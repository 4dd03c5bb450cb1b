"""The sky, as if at infinite distance."""

from __future__ import annotations

import torch


def sky_colours(
    world: torch.Tensor, directions: torch.Tensor, horizon: torch.Tensor, zenith: torch.Tensor
) -> torch.Tensor:
    """RGB float32 [N, 3, R] in directions [N, 3, R] of cameras [N, 4, 4] in the world.

    horizon, zenith: [N, 3] colours
    """
    upward = (world[:, 2, :3, None] * directions).sum(1) / directions.norm(dim=1)
    up = upward.clamp(0, 1).sqrt()[:, None]
    return horizon[..., None] + (zenith - horizon)[..., None] * up

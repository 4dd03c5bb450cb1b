"""Points fixed to surfaces, followed through a clip."""

from __future__ import annotations

from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.culling import in_windows
from fourd_perception.synthetic.generator.frames import Frames, inverse
import numpy as np
import torch

_MARGIN = 1e-3
_NEAREST = 1e-3


def tracks(
    frames: Frames, depth: torch.Tensor, body: torch.Tensor, chosen: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points float32 [B, T, N, 3] in the world, and where they are seen, bool [B, V, T, N].

    depth, body: of the pixels [B, V, T, H, W]; chosen: float64 [B, N, 4] in 0..1: view, instant,
    row and column of the pixel that a point starts from. Points of the sky are NaN.
    """
    b, v, t, _ = frames.shape
    height, width = depth.shape[-2:]
    places = torch.from_numpy(chosen).to(depth.device) * torch.tensor(
        [v, t, height, width], device=depth.device
    )
    view, instant, row, column = places.long().unbind(-1)
    clip = torch.arange(b, device=depth.device)[:, None]
    z, number = (values[clip, view, instant, row, column] for values in (depth, body))
    k = frames.intrinsics[clip, view].double()
    x = (column - k[..., 0, 2]) / k[..., 0, 0]
    y = (row - k[..., 1, 2]) / k[..., 1, 1]
    local = torch.stack([x, y, torch.ones_like(x), 1 / z], -1)[..., None] * z[..., None, None]
    sky = z.isnan()
    number = torch.where(sky, 0, number)
    posed = frames.camera_from_body[:, :, :, 0]
    of_body = inverse(posed[clip, view, instant, number]) @ local
    # Each body as every camera has it at every instant, [B, N, V, T, 4, 4].
    views, instants = torch.arange(v, device=z.device)[:, None], torch.arange(t, device=z.device)
    own = posed[clip[..., None, None], views, instants, number[..., None, None]]
    local = (own @ of_body[:, :, None, None])[..., 0]
    first = frames.world_from_camera[:, 0, :, 0]
    world = (first[:, :, None] @ local[:, :, 0].transpose(1, 2)[..., None])[..., :3, 0]
    seen = _seen(frames, local[..., :3].permute(0, 2, 3, 1, 4).float(), (height, width))
    points = torch.where(sky[:, None, :, None], float('nan'), world).float()
    return points, seen & ~sky[:, None, None]


def _seen(frames: Frames, points: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Whether points [B, V, T, N, 3] before the cameras are in the image and not hidden."""
    b, v, t, s = frames.shape
    height, width = size
    z = points[..., 2]
    rays = points / torch.where(z > _NEAREST, z, float('nan'))[..., None]
    k = frames.intrinsics[:, :, None, None]
    u = rays[..., 0] * k[..., 0, 0] + k[..., 0, 2]
    w = rays[..., 1] * k[..., 1, 1] + k[..., 1, 2]
    inside = (u >= -0.5) & (u <= width - 0.5) & (w >= -0.5) & (w <= height - 0.5)
    if not inside.numel():
        return inside
    aim = torch.where(inside[..., None], rays, rays.new_tensor([0.0, 0.0, 1.0]))
    aim = aim.flatten(0, 2).mT.contiguous()
    number = frames.numbers(0)
    near = in_windows(frames.outlines, number, aim[:, :2].amin(2), aim[:, :2].amax(2))
    length, _ = cast(Beams(number, aim.new_zeros(len(aim), 3), aim, near), frames.forms)
    hidden = length.view(b, v, t, -1).clamp(max=MISS) < z * (1 - _MARGIN)
    return inside & ~hidden

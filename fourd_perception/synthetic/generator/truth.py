"""What is true of every pixel: depth, flow, what hides it, whether it moves, whose it is."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.clips import UNKNOWN
from fourd_perception.geometry.dynamic_label import dynamic_label
from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.culling import in_windows
from fourd_perception.synthetic.generator.frames import (
    Frames,
    inverse,
    pixel_places,
    pixel_rays,
    untiled,
)
from fourd_perception.synthetic.generator.kernels import kernel
import torch

# A point is hidden by what is nearer by more than this share of its depth; a ray that grazes its
# own surface is that uncertain in float32.
_MARGIN = 5e-4
_NEAREST = 1e-3


@dataclass(frozen=True, eq=False)
class Truth:
    """Fields of `Clips` with the same names and shapes."""

    depth: torch.Tensor
    flow_forward: torch.Tensor
    flow_backward: torch.Tensor
    occluded_forward: torch.Tensor
    occluded_backward: torch.Tensor
    dynamic: torch.Tensor
    instances: torch.Tensor


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Pixel centres in tiles, N of R each: N = B * V * T * tiles of one image.

    frame: int64 [N] of B * V * T; places float32 [N, 2, R]; points float32 [N, 3, R] in the
    camera's frame, the direction itself on the sky; body int64 [N, R], P for the sky
    """

    frame: torch.Tensor
    places: torch.Tensor
    points: torch.Tensor
    body: torch.Tensor


def truth(
    frames: Frames, instances: torch.Tensor, size: tuple[int, int]
) -> tuple[Truth, torch.Tensor]:
    """Everything known of images of `size`; instances int64 [B, P].

    Also the bodies int64 [B, V, T, H, W] that are seen, P for the sky.
    """
    pixels = _seen(frames, size)
    b, v, t, _ = frames.shape
    bodies = frames.half.shape[1]

    def images(values: torch.Tensor) -> torch.Tensor:
        """Tiles [N, ..., R] as images [B, V, T, ..., H, W]."""
        split = values.unflatten(0, (b, v, t, -1))
        return untiled(split.movedim(3, -2), size)

    nan = float('nan')
    depth = torch.where(pixels.body == bodies, nan, pixels.points[:, 2])
    numbers = torch.cat([instances, instances.new_zeros(b, 1)], dim=1)
    clip = pixels.frame // (v * t)
    found = [_motion(frames, pixels, step, size) for step in (1, -1)]
    known = Truth(
        images(depth),
        *(images(flow) for flow, _ in found),
        *(images(hidden) for _, hidden in found),
        images(dynamic_label(_own_motion(frames, pixels))),
        images(numbers[clip[:, None], pixels.body].to(torch.int16)),
    )
    return known, images(pixels.body)


def _seen(frames: Frames, size: tuple[int, int]) -> _Pixels:
    b, v, t, s = frames.shape
    rays = pixel_rays(frames.intrinsics, size)
    tiles = rays.shape[2]
    rays = rays[:, :, None].expand(-1, -1, t, -1, -1, -1).flatten(0, 3)
    frame = torch.arange(b * v * t, device=rays.device).repeat_interleave(tiles)
    length, body = cast(_camera_beams(frames, frame * s, rays), frames.forms)
    sky = length > MISS
    body = torch.where(sky, frames.half.shape[1], body)
    points = rays * torch.where(sky, 1.0, length)[:, None]
    places = pixel_places(size, rays.device).mT.repeat(b * v * t, 1, 1)
    return _Pixels(frame, places, points, body)


def _camera_beams(frames: Frames, number: torch.Tensor, rays: torch.Tensor) -> Beams:
    low, high = rays[:, :2].amin(2), rays[:, :2].amax(2)
    near = in_windows(frames.outlines, number, low, high)
    return Beams(number, rays.new_zeros(len(rays), 3), rays, near)


def _carried(frames: Frames, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps into the camera's frame `step` instants later, out of the clip zero.

    Returns those of the bodies, the sky last, float32 [B * V * T * (P + 1), 12], and those of
    what stands still [B * V * T, 12].
    """
    posed, cameras = frames.camera_from_body[:, :, :, 0], frames.world_from_camera[:, :, :, 0]
    t = posed.shape[2]
    here = torch.arange(max(0, -step), min(t, t - step), device=posed.device)
    ego = inverse(cameras[:, :, here + step]) @ cameras[:, :, here]
    infinite = ego.clone()
    infinite[..., :3, 3] = 0
    moved = posed[:, :, here + step] @ inverse(posed[:, :, here])
    every = torch.cat([moved, infinite[..., None, :, :]], dim=3)
    out = []
    for maps in (every, ego):
        filled = maps.new_zeros(*posed.shape[:3], *maps.shape[3:])
        filled[:, :, here] = maps
        out.append(filled[..., :3, :].float().flatten(-2).flatten(0, -2))
    return out[0], out[1]


def _lenses(frames: Frames, frame: torch.Tensor) -> torch.Tensor:
    """Focal lengths and principal points [N, 4] of the frames' cameras."""
    k = frames.intrinsics.flatten(0, 1)
    rows = torch.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], 1)
    return rows[frame // frames.shape[2]]


def _project(
    maps: torch.Tensor, of: torch.Tensor, points: tuple[torch.Tensor, ...], lens: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Rays x/z, y/z, depth z and pixels u, v of points carried by maps [M, 12] numbered `of`.

    NaN unless before the camera. lens [..., 4] broadcasts to the points.
    """
    m = maps[of].unbind(-1)
    x, y, z = points
    there = [m[i] * x + m[i + 1] * y + m[i + 2] * z + m[i + 3] for i in (0, 4, 8)]
    depth = torch.where(there[2] > _NEAREST, there[2], float('nan'))
    ray_x, ray_y = there[0] / depth, there[1] / depth
    fx, fy, cx, cy = lens.unbind(-1)
    return ray_x, ray_y, depth, ray_x * fx + cx, ray_y * fy + cy


def _motion(
    frames: Frames, pixels: _Pixels, step: int, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flow [N, 2, R] and occlusion uint8 [N, R] to the instant one step away."""
    height, width = size
    b, v, t, s = frames.shape
    bodies = frames.half.shape[1]
    project = kernel(_project, frames.forms.compiled)
    of = pixels.frame[:, None] * (bodies + 1) + pixels.body
    lens = _lenses(frames, pixels.frame)[:, None]
    maps = _carried(frames, step)[0]
    ray_x, ray_y, depth, u, v_ = project(maps, of, pixels.points.unbind(1), lens)
    inside = (u >= -0.5) & (u <= width - 0.5) & (v_ >= -0.5) & (v_ <= height - 0.5)
    rays = torch.stack([ray_x, ray_y], 1)
    seen = inside[:, None]
    aimed = torch.cat([torch.where(seen, rays, 0.0), torch.ones_like(depth)[:, None]], 1)
    low = torch.where(seen, rays, float('inf')).amin(2)
    high = torch.where(seen, rays, -float('inf')).amax(2)
    number = (pixels.frame + step).clamp(0, b * v * t - 1) * s
    near = in_windows(frames.outlines, number, low, high)
    length, _ = cast(Beams(number, rays.new_zeros(len(rays), 3), aimed, near), frames.forms)
    reach = torch.where(pixels.body == bodies, MISS, depth * (1 - _MARGIN))
    hidden = (~inside | (length < reach)).to(torch.uint8)
    instant = pixels.frame % t + step
    hidden[(instant < 0) | (instant >= t)] = UNKNOWN
    return torch.stack([u, v_], 1) - pixels.places, hidden


def _own_motion(frames: Frames, pixels: _Pixels) -> torch.Tensor:
    """Pixels [N, R]: the longest own motion to any instant of the clip (specification B.16)."""
    t, bodies = frames.shape[2], frames.half.shape[1]
    largest = torch.zeros_like(pixels.points[:, 0])
    rigid = torch.cat([frames.moves, torch.zeros_like(frames.moves[:, :1])], 1)
    clip = pixels.frame // (frames.shape[1] * t)
    tile, ray = rigid[clip[:, None], pixels.body].nonzero(as_tuple=True)
    if not len(tile):
        return largest
    # Kernels are not compiled for a single pixel.
    tile, ray = torch.cat([tile, tile[:1]]), torch.cat([ray, ray[:1]])
    project = kernel(_project, frames.forms.compiled)
    frame = pixels.frame[tile]
    of = frame * (bodies + 1) + pixels.body[tile, ray]
    points = pixels.points[tile, :, ray].unbind(1)
    lens = _lenses(frames, frame)
    longest = largest.new_zeros(len(tile))
    for step in [k for k in range(1 - t, t) if k]:
        with_body, as_if_still = _carried(frames, step)
        there = project(with_body, of, points, lens)
        still = project(as_if_still, frame, points, lens)
        apart = torch.hypot(there[3] - still[3], there[4] - still[4])
        longest = torch.maximum(longest, apart.nan_to_num(0.0))
    largest[tile, ray] = longest
    return largest

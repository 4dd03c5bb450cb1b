"""What is true of every pixel: depth, flow, what hides it, whether it moves, whose it is."""

from __future__ import annotations

from dataclasses import dataclass

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


def truth(frames: Frames, instances: torch.Tensor, size: tuple[int, int]) -> Truth:
    """Everything known of images of `size`; instances int64 [B, P]."""
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
    return Truth(
        images(depth),
        *(images(flow) for flow, _ in found),
        *(images(hidden) for _, hidden in found),
        images(dynamic_label(_own_motion(frames, pixels))),
        images(numbers[clip[:, None], pixels.body].to(torch.int16)),
    )


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
    """Maps into the camera's frame `step` instants later, float32 [B * V * T, P + 1, 3, 4].

    With the bodies, and as if they stood still; the sky comes last. Out of the clip: zero.
    """
    posed, cameras = frames.camera_from_body[:, :, :, 0], frames.world_from_camera[:, :, :, 0]
    t = posed.shape[2]
    here = torch.arange(max(0, -step), min(t, t - step), device=posed.device)
    ego = inverse(cameras[:, :, here + step]) @ cameras[:, :, here]
    infinite = ego.clone()
    infinite[..., :3, 3] = 0
    moved = posed[:, :, here + step] @ inverse(posed[:, :, here])
    still = ego[..., None, :, :].expand_as(moved)
    out = []
    for maps in (moved, still):
        every = torch.cat([maps, infinite[..., None, :, :]], dim=3)
        filled = posed.new_zeros(*posed.shape[:3], *every.shape[3:])
        filled[:, :, here] = every
        out.append(filled[..., :3, :].float().flatten(0, 2))
    return out[0], out[1]


def _project(
    frames: Frames, frame: torch.Tensor, points: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays (x/z, y/z, 1) and pixels [N, 2, R] of points [N, 3, R]; NaN unless before the camera."""
    z = points[:, 2:]
    rays = points / torch.where(z > _NEAREST, z, float('nan'))
    k = frames.intrinsics.flatten(0, 1)[frame // frames.shape[2]]
    focal, middle = torch.stack([k[:, 0, 0], k[:, 1, 1]], 1), k[:, :2, 2]
    return rays, rays[:, :2] * focal[..., None] + middle[..., None]


def _moved(maps: torch.Tensor, pixels: _Pixels) -> torch.Tensor:
    """Points [N, 3, R] carried by the maps [.., P + 1, 3, 4] of their bodies."""
    rows = maps[pixels.frame[:, None], pixels.body]
    return (rows[..., :3] @ pixels.points.mT[..., None])[..., 0].add(rows[..., 3]).mT


def _motion(
    frames: Frames, pixels: _Pixels, step: int, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flow [N, 2, R] and occlusion uint8 [N, R] to the instant one step away."""
    height, width = size
    b, v, t, s = frames.shape
    there = _moved(_carried(frames, step)[0], pixels)
    rays, places = _project(frames, pixels.frame, there)
    sky = pixels.body == frames.half.shape[1]
    border = places.new_tensor([width - 0.5, height - 0.5])[:, None]
    inside = ((places >= -0.5) & (places <= border)).all(1)
    aimed = torch.where(inside[:, None], rays, 0.0)
    low = torch.where(inside[:, None], rays[:, :2], float('inf')).amin(2)
    high = torch.where(inside[:, None], rays[:, :2], -float('inf')).amax(2)
    number = (pixels.frame + step).clamp(0, b * v * t - 1) * s
    near = in_windows(frames.outlines, number, low, high)
    beams = Beams(number, rays.new_zeros(len(rays), 3), aimed, near)
    length, _ = cast(beams, frames.forms)
    reach = torch.where(sky, MISS, there[:, 2] * (1 - _MARGIN))
    hidden = (~inside | (length < reach)).to(torch.uint8)
    instant = pixels.frame % t + step
    unknown = (instant < 0) | (instant >= t)
    hidden[unknown] = 255
    return places - pixels.places, hidden


def _own_motion(frames: Frames, pixels: _Pixels) -> torch.Tensor:
    """Pixels [N, R]: the longest own motion to any instant of the clip (specification B.16)."""
    t = frames.shape[2]
    largest = torch.zeros_like(pixels.points[:, 0])
    for step in [k for k in range(1 - t, t) if k]:
        with_body, as_if_still = _carried(frames, step)
        there = _project(frames, pixels.frame, _moved(with_body, pixels))[1]
        still = _project(frames, pixels.frame, _moved(as_if_still, pixels))[1]
        largest = torch.maximum(largest, (there - still).norm(dim=1).nan_to_num(0.0))
    return largest

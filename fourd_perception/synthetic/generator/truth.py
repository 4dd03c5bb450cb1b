"""What is true of every pixel: depth, flow, what hides it, whether it moves, whose it is."""

from __future__ import annotations

from collections.abc import Sequence
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
    forward, hidden_forward = _motion(frames, pixels, 1, size)
    backward, hidden_backward = _motion(frames, pixels, -1, size)
    known = Truth(
        depth=images(depth),
        flow_forward=images(forward),
        flow_backward=images(backward),
        occluded_forward=images(hidden_forward),
        occluded_backward=images(hidden_backward),
        dynamic=images(dynamic_label(_own_motion(frames, pixels))),
        instances=images(numbers[clip[:, None], pixels.body].to(torch.int16)),
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


def _carried(
    frames: Frames, step: int, bodies: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps into the camera's frame `step` instants later, out of the clip zero.

    Returns those of some bodies or of all, the sky last, float32 [B * V * T, P + 1, 12], and those
    of what stands still [B * V * T, 1, 12].
    """
    posed, cameras = frames.camera_from_body[:, :, :, 0], frames.world_from_camera[:, :, :, 0]
    posed = posed if bodies is None else posed[:, :, :, bodies]
    t = posed.shape[2]
    here = torch.arange(max(0, -step), min(t, t - step), device=posed.device)
    ego = (inverse(cameras[:, :, here + step]) @ cameras[:, :, here])[..., None, :, :]
    infinite = ego.clone()
    infinite[..., :3, 3] = 0
    moved = posed[:, :, here + step] @ inverse(posed[:, :, here])
    out = []
    for maps in (torch.cat([moved, infinite], dim=3), ego):
        filled = maps.new_zeros(*posed.shape[:3], *maps.shape[3:])
        filled[:, :, here] = maps
        out.append(filled[..., :3, :].flatten(-2).flatten(0, 2).float())
    return out[0], out[1]


def _lenses(frames: Frames, frame: torch.Tensor) -> torch.Tensor:
    """Focal lengths and principal points [N, 4] of the frames' cameras."""
    k = frames.intrinsics.flatten(0, 1)
    rows = torch.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], 1)
    return rows[frame // frames.shape[2]]


def _aimed(
    maps: torch.Tensor,
    frame: torch.Tensor,
    body: torch.Tensor,
    points: torch.Tensor,
    places: torch.Tensor,
    lens: torch.Tensor,
    width: int,
    height: int,
) -> tuple[torch.Tensor, ...]:
    """Where pixels at places [N, 2, R] go whose points [N, 3, R] are carried by their bodies.

    maps [F, P, 12]; frame [N], body [N, R] number them; lens [N, 4]. Returns the flow [N, 2, R],
    rays [N, 3, R] to the points, their bounds [N, 2], and how far one must see along the ray:
    the depth [N, R], 0 outside the image.
    """
    m = maps[frame[:, None], body].unbind(-1)
    x, y, depth, u, v = _projected(m, points.unbind(1), lens[..., None].unbind(1))
    inside = (u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)
    # Comparisons with NaN are false: what is behind the camera is outside.
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    rays = torch.stack([torch.where(inside, x, zero), torch.where(inside, y, zero), one], 1)
    seen = torch.stack([x, y], 1)
    low = torch.where(inside[:, None], seen, float('inf')).amin(2)
    high = torch.where(inside[:, None], seen, -float('inf')).amax(2)
    reach = torch.where(inside, torch.where(body == maps.shape[1] - 1, MISS, depth), zero)
    flow = torch.stack([u, v], 1) - places
    return flow, rays, low, high, reach


def _apart(
    maps: torch.Tensor,
    ego: torch.Tensor,
    frame: torch.Tensor,
    body: torch.Tensor,
    points: torch.Tensor,
    lens: torch.Tensor,
) -> torch.Tensor:
    """Pixels [M] between points [M, 3] that their bodies carry and the same ones at rest.

    NaN where one of them is behind the camera. maps [F, P, 12], ego [F, 1, 12]
    """
    xyz, k = points.unbind(1), lens.unbind(1)
    there = _projected(maps[frame, body].unbind(-1), xyz, k)
    still = _projected(ego[:, 0][frame].unbind(-1), xyz, k)
    return torch.hypot(there[3] - still[3], there[4] - still[4])


def _projected(
    m: Sequence[torch.Tensor], points: Sequence[torch.Tensor], lens: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Rays x/z, y/z, depth z and pixels u, v of points under maps; NaN behind the camera."""
    x, y, z = points
    there = [m[i] * x + m[i + 1] * y + m[i + 2] * z + m[i + 3] for i in (0, 4, 8)]
    depth = torch.where(there[2] > _NEAREST, there[2], float('nan'))
    ray_x, ray_y = there[0] / depth, there[1] / depth
    return ray_x, ray_y, depth, ray_x * lens[0] + lens[2], ray_y * lens[1] + lens[3]


def _motion(
    frames: Frames, pixels: _Pixels, step: int, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Flow [N, 2, R] and occlusion uint8 [N, R] to the instant one step away."""
    height, width = size
    b, v, t, s = frames.shape
    maps, lens = _carried(frames, step)[0], _lenses(frames, pixels.frame)
    flow, rays, low, high, reach = kernel(_aimed, frames.forms.compiled)(
        maps, pixels.frame, pixels.body, pixels.points, pixels.places, lens, width, height
    )
    number = (pixels.frame + step).clamp(0, b * v * t - 1) * s
    near = in_windows(frames.outlines, number, low, high)
    beams = Beams(number, rays.new_zeros(len(rays), 3), rays, near)
    length, _ = cast(beams, frames.forms)
    # Outside the image nothing is seen, whatever is met.
    hidden = ((length < reach * (1 - _MARGIN)) | (reach == 0)).to(torch.uint8)
    instant = pixels.frame % t + step
    hidden[(instant < 0) | (instant >= t)] = UNKNOWN
    return flow, hidden


def _own_motion(frames: Frames, pixels: _Pixels) -> torch.Tensor:
    """Pixels [N, R]: the longest own motion to any instant of the clip (specification B.16).

    NaN of what moves and of which no other instant tells: it is behind the camera at all of them,
    or would be, had it stood still.
    """
    v, t = frames.shape[1:3]
    # One instant alone tells nothing.
    largest = torch.full_like(pixels.points[:, 0], 0.0 if t > 1 else float('nan'))
    moves = torch.cat([frames.moves, torch.zeros_like(frames.moves[:, :1])], 1)
    tile, ray = moves[pixels.frame[:, None] // (v * t), pixels.body].nonzero(as_tuple=True)
    if not len(tile):
        return largest
    # Only those that move somewhere are carried. Kernels are not compiled for a single pixel.
    pair = torch.arange(max(len(tile), 2), device=tile.device) % len(tile)
    tile, ray = tile[pair], ray[pair]
    movers = frames.moves.any(0).nonzero()[:, 0]
    body = torch.searchsorted(movers, pixels.body[tile, ray])
    frame, points = pixels.frame[tile], pixels.points[tile, :, ray]
    lens = _lenses(frames, frame)
    apart = kernel(_apart, frames.forms.compiled)
    longest = largest.new_full((len(pair),), float('nan'))
    for step in [k for k in range(1 - t, t) if k]:
        maps, ego = _carried(frames, step, movers)
        longest = torch.fmax(longest, apart(maps, ego, frame, body, points, lens))
    largest[tile, ray] = longest
    return largest

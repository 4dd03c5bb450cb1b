"""Flat layers over a background, each with a shape, a texture and an affine motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import torch

STILL_CAMERA = 0.20
NO_MOVERS = 0.25
LARGE_MOVER = 0.05
LIKE_BACKGROUND = 0.10
LEAST_FLOW = 0.1
Uniform = Callable[..., torch.Tensor]


@dataclass(frozen=True, eq=False)
class Layers:
    """K layers of B pairs, back to front; layer 0 is the background, which fills the plane.

    Places are pixels of the first image, relative to its middle.

    centre:    [B, K, 2] of the shape (x, y)
    axes:      [B, K, 2] half lengths; zero where the layer is absent
    angle:     [B, K] radians, of the first axis
    boxy:      bool [B, K]: nearly rectangles (the norm of power 8), else ellipses
    waves:     [B, K, 3, 2]: amplitude and phase of 2, 3 and 5 waves around the outline
    softness:  [B, K] width of the edge in pixels
    motion:    [B, K, 2, 3] affine: from a place in the first image to the same one in the second
    tile:      [B, K] index of the texture tile
    texture:   [B, K, 2, 3] affine: from a place in the first image to texels of the tile
    """

    centre: torch.Tensor
    axes: torch.Tensor
    angle: torch.Tensor
    boxy: torch.Tensor
    waves: torch.Tensor
    softness: torch.Tensor
    motion: torch.Tensor
    tile: torch.Tensor
    texture: torch.Tensor

    def cover(self, places: torch.Tensor) -> torch.Tensor:
        """How much of each layer's own surface lies at places [B, K, N, 2] of it, 0..1 [B, K, N].

        The outline is where it is one half.
        """
        x, y = (places - self.centre[:, :, None]).unbind(-1)
        cos, sin = self.angle.cos()[..., None], self.angle.sin()[..., None]
        a, b = self.axes.clamp(min=1.0)[:, :, None].unbind(-1)
        u, v = (cos * x + sin * y) / a, (cos * y - sin * x) / b
        u2, v2 = u * u, v * v
        box = (u2.square().square() + v2.square().square()).sqrt().sqrt()
        radius = torch.where(self.boxy[..., None], box, u2 + v2).sqrt()
        around = torch.atan2(v, u)
        outline = torch.ones_like(radius)
        for i, count in enumerate((2, 3, 5)):
            amplitude, phase = self.waves[:, :, i].unbind(-1)
            outline = outline + amplitude[..., None] * (count * around + phase[..., None]).cos()
        narrow = self.axes.amin(-1)[..., None]
        cover = ((outline - radius) * narrow / self.softness[..., None] + 0.5).clamp(0, 1)
        cover = cover * (narrow > 0)
        return torch.cat([torch.ones_like(cover[:, :1]), cover[:, 1:]], dim=1)

    def to(self, device: torch.device | str) -> Layers:
        """The same on another device."""
        return Layers(**{name: value.to(device) for name, value in vars(self).items()})


def draw_layers(
    pairs: int,
    count: int,
    size: tuple[int, int],
    tiles: int,
    max_flow: float,
    generator: torch.Generator,
) -> Layers:
    """Random layers for images of `size` (height, width); no motion is longer than `max_flow` px.

    Lengths of motions are log-uniform from .1 px. The camera stands still in 20 % of the pairs,
    nothing moves of itself in 25 %, one layer covers most of the image in 5 %.
    """
    height, width = size
    shape = (pairs, count)

    def uniform(low: float, high: float, *more: int) -> torch.Tensor:
        return torch.rand(*shape, *more, generator=generator) * (high - low) + low

    def chance(share: float) -> torch.Tensor:
        return torch.rand(pairs, 1, generator=generator) < share

    long = torch.exp(uniform(math.log(0.06), math.log(0.35), 1)) * width
    slim = torch.exp(uniform(math.log(0.12), 0.0, 1))
    axes = torch.cat([long, long * slim], dim=-1).clamp(min=1.5)
    large = chance(LARGE_MOVER)
    axes[:, -1] = torch.where(large, torch.tensor([0.5 * width, 0.5 * height]), axes[:, -1])
    present = torch.arange(count) <= torch.randint(0, count, (pairs, 1), generator=generator)
    present[:, -1:] |= large
    tile = torch.randint(0, tiles, shape, generator=generator)
    tile = torch.where(uniform(0, 1) < LIKE_BACKGROUND, tile[:, :1], tile)
    hard = uniform(0, 1) < 0.6
    return Layers(
        centre=uniform(-0.5, 0.5, 2) * torch.tensor([width, height]),
        axes=axes * present[..., None],
        angle=uniform(0, math.pi),
        boxy=uniform(0, 1) < 0.5,
        waves=torch.stack([uniform(0, 0.15, 3), uniform(0, 2 * math.pi, 3)], dim=-1),
        softness=torch.where(hard, torch.ones(shape), uniform(1.5, 5.0)),
        motion=_motions(size, max_flow, uniform, chance),
        tile=tile,
        texture=_texture_places(uniform),
    )


def scaled_motion(motion: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Motions [B, K, 2, 3] with every displacement multiplied by factor [B] or [B, K]."""
    factor = factor.view(*factor.shape, *(1,) * (4 - factor.ndim))
    still = torch.eye(2, 3, device=motion.device)
    return still + factor * (motion - still)


def _motions(
    size: tuple[int, int],
    max_flow: float,
    uniform: Uniform,
    chance: Callable[[float], torch.Tensor],
) -> torch.Tensor:
    """Background and layers: some with the background, some by themselves."""
    height, width = size

    def displacement() -> torch.Tensor:
        """Affine displacements [B, K, 2, 3] of at most log-uniform length."""
        length = torch.exp(uniform(math.log(LEAST_FLOW), math.log(max_flow)))
        heading = uniform(0, 2 * math.pi)
        shift = torch.stack([heading.cos(), heading.sin()], dim=-1) * length[..., None]
        # Turning, scaling and shearing move the rim about half as far as the shift does.
        warp = uniform(-1, 1, 2, 2) * (length / max(size) * uniform(0, 1))[..., None, None]
        return torch.cat([warp, shift[..., None]], dim=-1)

    camera, own = displacement(), displacement()
    camera = camera[:, :1] * ~chance(STILL_CAMERA)[..., None, None]
    own = own * ~chance(NO_MOVERS)[..., None, None]
    own[:, 0] = 0.0
    motion = torch.eye(2, 3) + camera + own
    corners = torch.tensor([[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)])
    corners = corners * torch.tensor([0.5 * width, 0.5 * height, 1.0])
    reach = ((motion - torch.eye(2, 3)) @ corners.T).norm(dim=-2).amax(-1)
    return scaled_motion(motion, (max_flow / reach.clamp(min=1e-6)).clamp(max=1.0))


def _texture_places(uniform: Uniform) -> torch.Tensor:
    """Turned and magnified, never reduced: a tile holds no detail that pixels would alias."""
    angle, scale = uniform(0, 2 * math.pi), uniform(0.6, 1.0)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)]
    return torch.cat([torch.stack(rows, dim=-2), uniform(0, 128, 2, 1)], dim=-1)

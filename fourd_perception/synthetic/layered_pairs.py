"""Pairs of images of moving flat layers, with exact flow and occlusion both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from fourd_perception.geometry.clips import Clips, UNKNOWN, unlabelled
from fourd_perception.synthetic.layer_photographs import photograph
from fourd_perception.synthetic.layers import draw_layers, Layers
import torch
from torch.nn import functional as F

LAYERS = 5


@dataclass(frozen=True, eq=False)
class LayeredPairs:
    """B pairs of images; the index 0 or 1 says from which image.

    images:   two of float32 [B, 3, H, W], RGB in 0..1
    flow:     two of float32 [B, 2, H, W], to the other image, pixels, u right, v down
    occluded: two of bool [B, 1, H, W]: leaves the other image or is hidden in it
    """

    images: tuple[torch.Tensor, torch.Tensor]
    flow: tuple[torch.Tensor, torch.Tensor]
    occluded: tuple[torch.Tensor, torch.Tensor]


def layered_pairs(
    seeds: Sequence[int],
    size: tuple[int, int],
    tiles: torch.Tensor,
    max_flow: float = 40.0,
    photographs: bool = True,
) -> LayeredPairs:
    """A pair of images of `size` (height, width) for each seed, on the device of the tiles.

    seeds:       from 0 to 2^32 - 1; each pair is a function of its own
    tiles:       of `texture_tiles`
    max_flow:    pixels; the longest motion of any layer
    photographs: as a camera would take them, see `photograph`
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    drawn = [draw_layers(1, LAYERS, size, len(tiles), max_flow, g) for g in generators]
    layers = Layers(
        **{f.name: torch.cat([getattr(d, f.name) for d in drawn]) for f in fields(Layers)}
    ).to(tiles.device)
    result = render(layers, size, tiles)
    if not photographs:
        return result
    images = [
        torch.stack([photograph(image, g) for image, g in zip(batch, generators)])
        for batch in result.images
    ]
    return LayeredPairs((images[0], images[1]), result.flow, result.occluded)


def as_clips(pairs: LayeredPairs) -> Clips:
    """The pairs as clips of one view and two instants, of which only the flow is known."""
    images = torch.stack(pairs.images, dim=1)[:, None]
    clips = unlabelled((255 * images).round().to(torch.uint8))
    unknown = torch.full_like(pairs.flow[0], float('nan'))
    nothing = torch.full_like(clips.occluded_forward[:, 0, 0], UNKNOWN)
    hidden = [occluded[:, 0].to(torch.uint8) for occluded in pairs.occluded]
    return replace(
        clips,
        flow_forward=torch.stack([pairs.flow[0], unknown], dim=1)[:, None],
        flow_backward=torch.stack([unknown, pairs.flow[1]], dim=1)[:, None],
        occluded_forward=torch.stack([hidden[0], nothing], dim=1)[:, None],
        occluded_backward=torch.stack([nothing, hidden[1]], dim=1)[:, None],
    )


def render(layers: Layers, size: tuple[int, int], tiles: torch.Tensor) -> LayeredPairs:
    """Both images, flow and occlusion of given layers."""
    height, width = size
    pixels = pixel_places(size, tiles.device)
    to_second, to_first = layers.motion, inverse(layers.motion)
    still = torch.eye(2, 3, device=tiles.device).expand_as(to_first)
    images, flows, hidden = [], [], []
    # `own` leads from this image to the layers' own places, those of the first image.
    for own, across, own_there in ((still, to_second, to_first), (to_first, to_first, still)):
        places = apply(own, pixels)
        cover = layers.cover(places)
        images.append(_composite(layers, places, cover, tiles).unflatten(2, size))
        front = _front(cover)
        there = _take(apply(across, pixels), front)  # [B, N, 2], relative to the middle
        flow = (there - pixels).transpose(1, 2).unflatten(2, size)
        over = layers.cover(apply(own_there, there[:, None]))
        half = pixels.new_tensor([0.5 * width, 0.5 * height])
        outside = (there.abs() > half).any(-1)
        flows.append(flow)
        hidden.append((outside | (_front(over) > front))[:, None].unflatten(2, size))
    return LayeredPairs((images[0], images[1]), (flows[0], flows[1]), (hidden[0], hidden[1]))


def pixel_places(size: tuple[int, int], device: torch.device | str) -> torch.Tensor:
    """Places (x, y) of all pixels relative to the image's middle [H * W, 2]."""
    y, x = torch.meshgrid(
        *(torch.arange(n, device=device) - 0.5 * (n - 1) for n in size), indexing='ij'
    )
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def apply(affine: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Affine maps [B, K, 2, 3] of places [..., N, 2] that broadcast to [B, K, N, 2]."""
    x, y = places[..., :1], places[..., 1:]
    a, b, c = affine[..., None, :, :].unbind(-1)
    return a * x + b * y + c


def inverse(affine: torch.Tensor) -> torch.Tensor:
    """Inverse of affine maps [B, K, 2, 3]."""
    linear = torch.linalg.inv(affine[..., :2])
    return torch.cat([linear, -linear @ affine[..., 2:]], dim=-1)


def _front(cover: torch.Tensor) -> torch.Tensor:
    """Index of the front layer that covers at least half of a place, [B, K, N] to [B, N]."""
    order = torch.arange(cover.shape[1], device=cover.device)[:, None]
    return torch.where(cover >= 0.5, order, 0).amax(1)


def _take(values: torch.Tensor, layer: torch.Tensor) -> torch.Tensor:
    """Values [B, K, N, C] of one layer [B, N] each."""
    index = layer[:, None, :, None].expand(-1, 1, -1, values.shape[-1])
    return values.gather(1, index)[:, 0]


def _composite(
    layers: Layers, places: torch.Tensor, cover: torch.Tensor, tiles: torch.Tensor
) -> torch.Tensor:
    """RGB [B, 3, N], back to front."""
    batch, count = layers.tile.shape
    texels = apply(layers.texture, places).flatten(0, 1)[:, :, None]  # [B K, N, 1, 2]
    grid = (2 * texels + 1) / tiles.shape[-1] - 1
    colours = F.grid_sample(
        tiles[layers.tile.flatten()], grid, padding_mode='reflection', align_corners=False
    )
    colours = colours[..., 0].unflatten(0, (batch, count))
    image = colours[:, 0]
    for k in range(1, count):
        image = torch.lerp(image, colours[:, k], cover[:, k, None])
    return image

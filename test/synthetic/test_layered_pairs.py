"""Layered pairs: the images, the flow and the occlusion tell of the same scene."""

from __future__ import annotations

from dataclasses import replace
import math

from fourd_perception.geometry.clips import OCCLUDED, UNKNOWN
from fourd_perception.synthetic.layer_photographs import compressed, photograph
from fourd_perception.synthetic.layered_pairs import (
    apply,
    as_clips,
    inverse,
    layered_pairs,
    pixel_places,
    render,
)
from fourd_perception.synthetic.layers import draw_layers, Layers
from fourd_perception.synthetic.texture_tiles import texture_tiles
import numpy as np
import pytest
import torch
from torch.nn import functional as F

SIZE = (48, 64)


def smooth_tiles(count: int = 6) -> torch.Tensor:
    """Cosines that a mirror at the tile's rim leaves smooth: nothing lost between texels."""
    x = (torch.arange(128) + 0.5) / 128 * math.pi
    tiles = torch.zeros(count, 3, 128, 128)
    for i in range(count):
        for c in range(3):
            wave = (x * (2 + i + c)).cos() * (x * (6 - i + c)).cos()[:, None]
            tiles[i, c] = 0.5 + 0.5 * wave
    return tiles


def drawn(seed: int, pairs: int = 6, size=SIZE, max_flow: float = 12.0) -> Layers:
    return draw_layers(pairs, 4, size, 6, max_flow, torch.Generator().manual_seed(seed))


def warp(image: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Image [B, C, H, W] read at x + flow."""
    height, width = image.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    x, y = x + flow[:, 0], y + flow[:, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(image, grid, padding_mode='border', align_corners=False)


@pytest.mark.parametrize('way', [0, 1])
def test_the_other_image_read_along_the_flow_is_this_image(way):
    layers = drawn(1)
    layers = replace(layers, softness=torch.ones_like(layers.softness))
    pairs = render(layers, SIZE, smooth_tiles())
    still = torch.eye(2, 3).expand_as(layers.motion)
    mixed = []
    for own in (still, inverse(layers.motion)):
        cover = layers.cover(apply(own, pixel_places(SIZE, 'cpu')))
        edge = ((cover > 0) & (cover < 1)).any(1, keepdim=True)
        mixed.append(edge.float().unflatten(2, SIZE))
    flow = pairs.flow[way]
    # Where two layers mix in one pixel there is no single motion to follow.
    clear = (mixed[way] == 0) & (warp(mixed[1 - way], flow) == 0) & ~pairs.occluded[way]
    error = (warp(pairs.images[1 - way], flow) - pairs.images[way]).abs().amax(1, keepdim=True)
    assert clear.float().mean() > 0.5
    assert error[clear].max() < 0.05
    there = (pairs.images[1] - pairs.images[0]).abs().amax(1, keepdim=True)
    assert there[clear].max() > 0.3  # without the flow they differ


def plain_cover(layers: Layers, b: int, k: int, x: float, y: float) -> float:
    """How much of layer k's surface lies at one place, in plain arithmetic."""
    if k == 0:
        return 1.0
    a, c = layers.axes[b, k].tolist()
    if min(a, c) == 0:
        return 0.0
    dx, dy = x - layers.centre[b, k, 0].item(), y - layers.centre[b, k, 1].item()
    angle = layers.angle[b, k].item()
    u = (math.cos(angle) * dx + math.sin(angle) * dy) / a
    v = (-math.sin(angle) * dx + math.cos(angle) * dy) / c
    power = 8 if layers.boxy[b, k] else 2
    radius = (abs(u) ** power + abs(v) ** power) ** (1 / power)
    outline = 1.0
    for (amplitude, phase), waves in zip(layers.waves[b, k].tolist(), (2, 3, 5)):
        outline += amplitude * math.cos(waves * math.atan2(v, u) + phase)
    softness = layers.softness[b, k].item()
    return min(max((outline - radius) * min(a, c) / softness + 0.5, 0.0), 1.0)


def plain_flow(layers: Layers, b: int, way: int, row: int, column: int):
    """Flow and occlusion of one pixel, one layer after another."""
    height, width = SIZE
    x, y = column - (width - 1) / 2, row - (height - 1) / 2
    count = layers.tile.shape[1]
    motion = [np.vstack([layers.motion[b, k].double().numpy(), [0, 0, 1]]) for k in range(count)]
    own = [np.eye(3) if way == 0 else np.linalg.inv(m) for m in motion]
    own_there = [np.linalg.inv(m) if way == 0 else np.eye(3) for m in motion]
    across = [m if way == 0 else np.linalg.inv(m) for m in motion]

    def front(places, x, y):
        on = [plain_cover(layers, b, k, *(places[k] @ [x, y, 1])[:2]) for k in range(count)]
        return max(k for k in range(count) if on[k] >= 0.5)

    layer = front(own, x, y)
    x2, y2 = (across[layer] @ [x, y, 1])[:2]
    inside = abs(x2) <= width / 2 and abs(y2) <= height / 2
    return x2 - x, y2 - y, not inside or front(own_there, x2, y2) > layer


@pytest.mark.parametrize('way', [0, 1])
def test_flow_and_occlusion_equal_a_plain_walk_over_the_layers(way):
    layers = drawn(2, pairs=3)
    pairs = render(layers, SIZE, smooth_tiles())
    plain = np.array(
        [
            [[plain_flow(layers, b, way, r, c) for c in range(1, 64, 3)] for r in range(0, 48, 3)]
            for b in range(3)
        ]
    )
    flow = pairs.flow[way][:, :, ::3, 1::3].permute(0, 2, 3, 1).numpy()
    occluded = pairs.occluded[way][:, 0, ::3, 1::3].numpy()
    # A place on an outline to the last bit may fall on either side of it.
    assert (np.abs(flow - plain[..., :2]).max(-1) < 1e-3).mean() > 0.998
    assert (occluded == plain[..., 2].astype(bool)).mean() > 0.998
    assert 0.02 < occluded.mean() < 0.8


def test_a_seed_gives_the_same_pairs_and_another_seed_others():
    tiles = texture_tiles(8, seed=3)
    assert torch.equal(tiles, texture_tiles(8, seed=3))
    assert not torch.equal(tiles, texture_tiles(8, seed=4))
    first, again, other = (layered_pairs([seed, seed + 5], SIZE, tiles) for seed in (7, 7, 8))
    for name in ('images', 'flow', 'occluded'):
        for way in (0, 1):
            assert torch.equal(getattr(first, name)[way], getattr(again, name)[way])
            assert not torch.equal(getattr(first, name)[way], getattr(other, name)[way])


def test_clips_of_pairs_know_the_flow_both_ways_and_nothing_else():
    pairs = layered_pairs([3, 4], SIZE, texture_tiles(9, seed=3))
    clips = as_clips(pairs)
    assert clips.images.shape == (2, 1, 2, 3, *SIZE) and clips.present.all()
    for instant, flow, hidden in (
        (0, clips.flow_forward, clips.occluded_forward),
        (1, clips.flow_backward, clips.occluded_backward),
    ):
        torch.testing.assert_close(clips.images[:, 0, instant] / 255, pairs.images[instant])
        assert torch.equal(flow[:, 0, instant], pairs.flow[instant])
        assert torch.equal(hidden[:, 0, instant] == OCCLUDED, pairs.occluded[instant][:, 0])
        assert flow[:, 0, 1 - instant].isnan().all()
        assert (hidden[:, 0, 1 - instant] == UNKNOWN).all()
    assert clips.depth.isnan().all()


def test_photographs_are_a_little_off_in_steps_of_bytes():
    picture = smooth_tiles(1)[0, :, :48, :64]
    taken = torch.stack(
        [photograph(picture, torch.Generator().manual_seed(seed)) for seed in range(40)]
    )
    levels = 255 * taken
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
    assert taken.min() >= 0 and taken.max() <= 1
    off = (taken - picture).abs().mean((1, 2, 3))
    assert off.max() < 0.2 and off.min() > 0.003 and off.std() > 0.01
    again = photograph(picture, torch.Generator().manual_seed(0))
    assert torch.equal(again, taken[0])


def test_compression_loses_fine_detail_first_and_nothing_in_fine_steps():
    picture = smooth_tiles(1)[0, :, :44, :61]
    torch.testing.assert_close(compressed(picture, 1e-5), picture, rtol=0, atol=1e-3)
    grain = 0.5 + 0.1 * torch.rand(3, 44, 61, generator=torch.Generator().manual_seed(0))
    kept = compressed(grain, 0.06)
    assert 0.01 < (compressed(picture, 0.06) - picture).abs().mean() < 0.05
    assert kept.diff(dim=-1).abs().mean() < 0.5 * grain.diff(dim=-1).abs().mean()


def test_motions_keep_their_limit_and_many_are_below_a_pixel():
    pairs = layered_pairs(range(64), SIZE, texture_tiles(9, seed=3))
    length = pairs.flow[0].norm(dim=1)
    assert 20 < length.max() <= 40.001
    assert ((length > 0) & (length < 1)).float().mean() > 0.15
    for image in pairs.images:
        assert image.isfinite().all() and image.min() >= 0 and image.max() <= 1


def test_tiles_are_pictures():
    tiles = texture_tiles(36, seed=0)
    assert tiles.shape == (36, 3, 128, 128) and tiles.dtype == torch.float32
    assert tiles.isfinite().all() and tiles.min() >= 0 and tiles.max() <= 1
    assert (tiles.std((2, 3)).amax(1) > 0.02).float().mean() > 0.7

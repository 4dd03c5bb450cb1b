"""The first flow, from coarse images to finer ones, and the neighbours that it follows."""

from __future__ import annotations

from fourd_perception.model.heads.flow_pyramid import neighbour_mean, pyramid_flow
import torch
from torch.nn import functional as F


def images(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_a_cell_without_weight_takes_the_flow_of_those_around_it():
    flow = torch.tensor([3.0, -2.0]).view(1, 2, 1, 1).repeat(1, 1, 9, 12)
    flow[..., 4, 5] = 50.0
    weight = torch.ones(1, 1, 9, 12)
    weight[..., 4, 5] = 1e-6
    mean = neighbour_mean(flow, weight, 5)
    assert mean.shape == flow.shape
    torch.testing.assert_close(mean[0, :, 4, 5], torch.tensor([3.0, -2.0]), rtol=0, atol=1e-4)
    # Cells outside the image have no say.
    torch.testing.assert_close(mean[0, :, 0, 0], torch.tensor([3.0, -2.0]))


def test_a_motion_that_no_fine_level_finds_is_found_among_few_cells():
    texture = F.interpolate(images(1, 3, 12, 14), scale_factor=16, mode='bicubic')
    first, second = texture[..., 32:160, 32:192], texture[..., 48:176, 8:168]  # 24 right, 16 up
    there, back = 4 * pyramid_flow(torch.cat([first, second]))[..., 6:-6, 8:-8]
    truth = torch.tensor([24.0, -16.0]).view(2, 1, 1)
    assert (there - truth).norm(dim=0).median() < 0.25
    assert (back + truth).norm(dim=0).median() < 0.25


def test_in_plain_places_the_first_flow_is_that_of_the_surroundings():
    texture = F.interpolate(images(1, 3, 24, 48), scale_factor=4, mode='bicubic').clamp(0, 1)
    texture[..., 40:136] = 0.5  # wider than any window of the finest level
    there = 4 * pyramid_flow(torch.cat([texture[..., 16:176], texture[..., 8:168]]))[0]
    off = (there - torch.tensor([8.0, 0.0]).view(2, 1, 1)).norm(dim=0)
    assert off[4:-4, 8:30].mean() < 1.7

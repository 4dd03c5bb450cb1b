"""Gauss-Newton steps of the flow: their equations, and what they find in pictures."""

from __future__ import annotations

from fourd_perception.model.heads.flow_alignment import (
    align,
    gauss_newton,
    normalised,
    rigour_of,
    smallest_eigenvalue,
    window_mean,
)
import pytest
import torch
from torch.nn import functional as F


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def picture(shift: tuple[float, float], size: tuple[int, int] = (48, 64)) -> torch.Tensor:
    """Waves of several lengths and directions [1, 3, h, w], moved by (x, y) pixels."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in size), indexing='ij')
    x, y = x - shift[0], y - shift[1]
    waves = [
        torch.sin(0.5 * x + 0.1 * y + c) + torch.sin(0.2 * x - 0.6 * y) + torch.cos(0.3 * y + c)
        for c in range(3)
    ]
    return 0.5 + 0.15 * torch.stack(waves)[None]


def constant(flow: tuple[float, float], size: tuple[int, int] = (48, 64)) -> torch.Tensor:
    return torch.tensor(flow).view(1, 2, 1, 1).expand(1, 2, *size)


def test_a_step_solves_its_equations():
    gradient, residual = drawn(2, 2, 9, 5, 6) - 0.5, drawn(2, 1, 9, 5, 6, seed=1) - 0.5
    neighbours, rigour = drawn(2, 2, 5, 6, seed=2) - 0.5, drawn(2, 1, 5, 6, seed=3) + 0.1
    xx, xy, yy = ((gradient[:, i] * gradient[:, j]).mean(1) for i, j in ((0, 0), (0, 1), (1, 1)))
    xr, yr = ((gradient[:, i] * residual[:, 0]).mean(1) for i in (0, 1))
    step = gauss_newton(torch.stack([xx, xy, yy, xr, yr], 1), neighbours, rigour)

    tensor = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -2)
    pull = rigour[:, 0, ..., None]
    wanted = -torch.stack([xr, yr], -1) + pull * neighbours.movedim(1, -1)
    plain = torch.linalg.solve(tensor + pull[..., None] * torch.eye(2), wanted)
    torch.testing.assert_close(step.movedim(1, -1), plain, rtol=1e-4, atol=1e-5)
    products = torch.stack([xx, xy, yy, xr, yr], 1)
    expected = torch.linalg.eigvalsh(tensor)[..., 0]
    torch.testing.assert_close(smallest_eigenvalue(products)[:, 0], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('side', [3, 7])
def test_the_mean_over_a_window_is_that_over_its_rows_and_columns(side):
    maps = drawn(2, 3, 8, 11)
    expected = F.avg_pool2d(maps, side, 1, side // 2)
    torch.testing.assert_close(window_mean(maps, side), expected)


def test_steps_find_a_fraction_of_a_pixel_whatever_light_and_contrast():
    shift = (0.7, -0.4)
    pair = torch.cat([picture((0, 0)), 0.6 * picture(shift) + 0.3])
    flow = torch.zeros(2, 2, 48, 64)
    for _ in range(5):
        products = align(normalised(pair), flow, 5).products
        flow = flow + gauss_newton(products, torch.zeros_like(flow), 1e-3)
    inner = flow[..., 8:-8, 8:-8]
    truth = torch.tensor([shift, (-shift[0], -shift[1])]).view(2, 2, 1, 1)
    assert (inner - truth).norm(dim=1).max() < 0.3
    assert (inner - truth).norm(dim=1).mean() < 0.1
    assert (inner - truth).mean((2, 3)).abs().max() < 0.02


def test_what_shows_something_else_counts_less():
    shift = (0.7, -0.4)
    second = picture(shift)
    second[..., 30:34] = drawn(1, 3, 48, 4)
    pair = normalised(torch.cat([picture((0, 0)), second]))
    flow = torch.zeros(2, 2, 48, 64)
    for _ in range(5):
        products = align(pair, flow, 5).products
        flow = flow + gauss_newton(products, torch.zeros_like(flow), 1e-3)
    off = (flow[0] - torch.tensor(shift).view(2, 1, 1)).norm(dim=0)
    assert off[8:-8, 8:-8].mean() < 0.28  # .32 if all pixels counted alike


def test_plain_and_striped_places_leave_the_word_to_the_neighbours():
    plain = torch.full((2, 3, 32, 32), 0.4)
    flow, towards = torch.zeros(2, 2, 32, 32), torch.ones(2, 2, 32, 32)
    step = gauss_newton(align(normalised(plain), flow, 5).products, towards, 0.1)
    torch.testing.assert_close(step, towards)
    stripes = 0.5 + 0.3 * torch.sin(0.6 * torch.arange(32.0)).expand(2, 3, 32, 32)
    step = gauss_newton(align(normalised(stripes), flow, 5).products, towards, 1e-3)
    inner = step[..., 8:-8, 8:-8]
    assert inner[:, 0].abs().max() < 0.2  # across the stripes nothing moves
    torch.testing.assert_close(inner[:, 1], torch.ones_like(inner[:, 1]), rtol=0, atol=0.05)


@pytest.mark.parametrize('answer', [-100.0, -3.0, 100.0])
def test_no_answer_of_a_network_makes_a_step_endless(answer):
    """In plain places nothing but the rigour is left to divide by."""
    pictures, flow = (
        torch.cat([picture((0, 0)), torch.full((1, 3, 48, 64), 0.5)]),
        drawn(2, 2, 48, 64),
    )
    found = align(normalised(pictures), flow, 5)
    answers = torch.full((2, 1, 48, 64), answer, requires_grad=True)
    step = gauss_newton(found.products, flow, rigour_of(answers))
    step.square().sum().backward()
    assert step.isfinite().all() and answers.grad.isfinite().all()
    assert torch.allclose(rigour_of(torch.tensor(-2.0)), torch.tensor(-2.0).exp(), rtol=0.05)


def test_trust_is_in_texture_and_in_flows_that_agree():
    shift = (2.0, 1.0)
    pair = normalised(torch.cat([picture((0, 0)), picture(shift)]))
    true = torch.cat([constant(shift), constant((-2.0, -1.0))])
    right = align(pair, true, 5)
    off = align(pair, torch.cat([constant(shift), constant((0.0, 0.0))]), 5)
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert right.trust[inner].min() > 0.5
    assert off.trust[inner].max() < 0.1
    assert right.residual[inner].mean() < 0.05 * off.residual[inner][1].mean()
    plain = align(torch.zeros_like(pair), true, 5)
    assert 0 < plain.trust.max() < 0.01
    torch.testing.assert_close(off.disagreement[0, :, 20, 20], torch.tensor(shift))


def test_nothing_of_an_alignment_has_a_gradient():
    flow = torch.zeros(2, 2, 32, 32, requires_grad=True)
    alignment = align(normalised(drawn(2, 3, 32, 32)), flow, 5)
    assert not alignment.products.requires_grad and not alignment.trust.requires_grad


def test_cells_have_the_means_of_their_pixels():
    alignment = align(normalised(drawn(2, 3, 32, 48)), torch.zeros(2, 2, 32, 48), 5).pooled(2)
    assert alignment.products.shape == (2, 5, 16, 24) and alignment.evidence.shape[1] == 6
    torch.testing.assert_close(alignment.eigenvalue, smallest_eigenvalue(alignment.products))

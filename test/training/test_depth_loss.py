"""Losses of depth against plain loops."""

from __future__ import annotations

import math

from fourd_perception.training.depth_loss import gradient_loss, laplace_loss, LEAST_SIGMA
import pytest
import torch


def maps(seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Log-depth, log-sigma, truth [2, 2, 12, 16] and what is valid of it."""
    generator = torch.Generator().manual_seed(seed)
    depth, sigma, truth = (torch.randn(2, 2, 12, 16, generator=generator) for _ in range(3))
    valid = torch.rand(2, 2, 12, 16, generator=generator) < 0.7
    return depth, sigma, torch.where(valid, truth, torch.nan), valid


def slow_laplace(depth, sigma, truth, valid) -> float:
    total, count = 0.0, 0
    for place in valid.nonzero().tolist():
        d, s, t = (x[tuple(place)].item() for x in (depth, sigma, truth))
        scale = math.exp(s) + LEAST_SIGMA
        total += abs(d - t) / scale + math.log(scale)
        count += 1
    return total / count


def slow_gradient(depth, truth, valid) -> float:
    """Of one clip [F, H, W]."""
    frames, height, width = depth.shape
    total = 0.0
    for stride in (1, 2, 4, 8):
        for dy, dx in ((0, stride), (stride, 0)):
            steps = []
            for f in range(frames):
                for y in range(0, height - dy, stride):
                    for x in range(0, width - dx, stride):
                        a, b = (f, y, x), (f, y + dy, x + dx)
                        if valid[a] and valid[b]:
                            error = (depth[b] - truth[b]) - (depth[a] - truth[a])
                            steps.append(abs(error.item()))
            total += sum(steps) / len(steps) if steps else 0.0
    return total / 4


def test_laplace_loss_equals_the_sum_over_valid_pixels():
    found = laplace_loss(*maps())
    slow = [slow_laplace(*(x[clip] for x in maps())) for clip in range(2)]
    assert found.tolist() == pytest.approx(slow, rel=1e-5)


def test_gradient_loss_equals_the_sum_over_valid_neighbours():
    depth, _, truth, valid = maps()
    slow = [slow_gradient(depth[clip], truth[clip], valid[clip]) for clip in range(2)]
    assert gradient_loss(depth, truth, valid).tolist() == pytest.approx(slow, rel=1e-5)


def test_gradient_loss_asks_for_no_absolute_depth():
    depth, _, truth, valid = maps()
    assert torch.allclose(
        gradient_loss(depth + 3, truth, valid), gradient_loss(depth, truth, valid), atol=1e-5
    )


def test_sigma_is_best_at_the_mean_error_and_never_left_without_a_gradient():
    truth = torch.zeros(1, 1, 1, 400)
    depth = torch.linspace(-0.4, 0.4, 400).view_as(truth)
    valid = torch.ones_like(truth, dtype=torch.bool)
    candidates = torch.linspace(-4, 1, 101)
    losses = [laplace_loss(depth, truth + s, truth, valid).item() for s in candidates]
    best = candidates[torch.tensor(losses).argmin()].item()
    assert math.exp(best) + LEAST_SIGMA == pytest.approx(0.2, rel=0.05)
    sigma = torch.full_like(truth, -9.0, requires_grad=True)
    laplace_loss(depth, sigma, truth, valid).sum().backward()
    assert sigma.grad.sum() < 0


def test_unknown_truth_says_nothing_and_leaves_finite_gradients():
    depth, sigma, truth, valid = maps()
    depth.requires_grad_(), sigma.requires_grad_()
    truth[0], valid[0] = torch.nan, False
    loss = laplace_loss(depth, sigma, truth, valid) + gradient_loss(depth, truth, valid)
    assert loss[0] == 0 and loss[1] != 0
    loss.sum().backward()
    assert not depth.grad[~valid].any() and not sigma.grad[~valid].any()
    assert depth.grad.isfinite().all() and depth.grad[1].any()


def test_a_pixel_of_endless_sigma_costs_no_more_than_one_of_no_knowledge():
    log_sigma = torch.full((1, 1, 4, 4), -1.0)
    log_sigma[..., 0, 0] = 500.0
    log_sigma.requires_grad_(True)
    loss = laplace_loss(
        torch.zeros(1, 1, 4, 4), log_sigma, torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4) > 0
    )
    loss.sum().backward()
    assert 0 < loss.item() < 10 and log_sigma.grad.isfinite().all()

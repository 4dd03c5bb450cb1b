"""The loss of masks against plain sums."""

from __future__ import annotations

import math

from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
from fourd_perception.training.mask_loss import mask_loss
import pytest
import torch


def slow_loss(logits: list[float], labels: list[int]) -> float:
    counted = [(x, y) for x, y in zip(logits, labels) if y != IGNORED]
    entropy, hit, claimed, moving = 0.0, 0.0, 0.0, 0
    for logit, label in counted:
        share = 1 / (1 + math.exp(-logit))
        entropy -= math.log(share if label == DYNAMIC else 1 - share)
        claimed += share
        if label == DYNAMIC:
            hit += share
            moving += 1
    dice = 1 - 2 * hit / (claimed + moving) if moving else 0.0
    return entropy / len(counted) + dice


def test_loss_equals_the_sums_of_each_clip():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, 5, generator=generator)
    kinds = torch.tensor([STATIC, DYNAMIC, IGNORED], dtype=torch.uint8)
    labels = kinds[torch.randint(3, logits.shape, generator=generator)]
    labels[1][labels[1] == DYNAMIC] = STATIC
    slow = [slow_loss(x.flatten().tolist(), y.flatten().tolist()) for x, y in zip(logits, labels)]
    assert mask_loss(logits, labels).tolist() == pytest.approx(slow, rel=1e-5)


def test_ignored_pixels_get_no_gradient_and_a_clip_of_them_says_nothing():
    logits = torch.zeros(2, 1, 2, 2, requires_grad=True)
    labels = torch.tensor([[[[0, 1], [255, 255]]], [[[255, 255], [255, 255]]]], dtype=torch.uint8)
    loss = mask_loss(logits, labels)
    assert loss[1] == 0
    loss.sum().backward()
    assert (
        logits.grad[0, 0, 0].all() and not logits.grad[0, 0, 1].any() and not logits.grad[1].any()
    )

"""The scale between prediction and truth of a clip."""

from __future__ import annotations

from fourd_perception.training.scale import log_factor, log_unit, weighted_median
from hypothesis import given, strategies as st
import pytest
import torch


def slow_median(values: list[float], weights: list[float]) -> float:
    """The least value below or at which half of the weight lies."""
    total = sum(weights)
    for value in sorted(values):
        if sum(w for v, w in zip(values, weights) if v <= value) >= total / 2:
            return value
    raise AssertionError


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 9)), min_size=1, max_size=20).filter(
        lambda pairs: any(w for _, w in pairs)
    )
)
def test_weighted_median_is_where_half_of_the_weight_is_reached(pairs):
    values, weights = ([float(x) for x in column] for column in zip(*pairs))
    found = weighted_median(torch.tensor([values]), torch.tensor([weights]))
    assert found.item() == slow_median([v for v, w in pairs if w], [w for _, w in pairs if w])


def test_nothing_to_compare_is_no_factor():
    zeros = torch.zeros(1, 4)
    assert log_factor(zeros, zeros + torch.nan, zeros).item() == 0


def test_unit_is_the_geometric_mean_of_what_is_valid():
    depth = torch.tensor([[1.0, 4.0, torch.nan, 0.0], [torch.nan] * 4])
    unit = log_unit(depth).exp()
    assert unit[0].item() == pytest.approx(2.0) and unit[1].isnan()


def test_factor_is_each_clip_s_own_and_pulls_at_all_pixels_alike():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 3, 4, generator=generator)
    predicted = (truth - torch.tensor([0.3, -1.2])[:, None, None]).requires_grad_()
    weight = torch.rand(2, 3, 4, generator=generator)
    weight[0, 0] = 0
    factor = log_factor(predicted, truth, weight)
    assert factor.tolist() == pytest.approx([0.3, -1.2], abs=1e-6)
    factor[0].backward()
    expected = -weight[0] / weight[0].sum()
    assert torch.allclose(predicted.grad[0], expected) and not predicted.grad[1].any()


def test_a_few_wild_pixels_do_not_move_the_factor():
    truth = torch.zeros(1, 101)
    predicted = truth - 0.5
    predicted[:, :20] = 30.0
    assert log_factor(predicted, truth, torch.ones(1, 101)).item() == pytest.approx(0.5)

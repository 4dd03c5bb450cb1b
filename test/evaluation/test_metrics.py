"""Metrics against slow plain references and against answers known by construction."""

import math

from fourd_perception.evaluation import metrics
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

DEPTH = arrays(float, (4, 5), elements=st.floats(0.1, 100.0))
FLOW = arrays(float, (4, 5, 2), elements=st.floats(-50.0, 50.0))
MASK = arrays(bool, (4, 5))
SOME = MASK.filter(lambda valid: bool(valid.any()))


@given(DEPTH, DEPTH, SOME)
def test_depth_metrics_equal_a_loop_over_pixels(predicted, truth, valid):
    relative, close = [], []
    for y, x in np.argwhere(valid):
        p, g = predicted[y, x], truth[y, x]
        relative.append(abs(p - g) / g)
        close.append(max(p / g, g / p) < 1.25)
    assert metrics.abs_rel(predicted, truth, valid) == pytest.approx(sum(relative) / len(relative))
    assert metrics.delta(predicted, truth, valid) == pytest.approx(sum(close) / len(close))


@given(FLOW, FLOW, SOME)
def test_flow_metrics_equal_a_loop_over_pixels(predicted, truth, valid):
    errors = []
    for y, x in np.argwhere(valid):
        (pu, pv), (gu, gv) = predicted[y, x], truth[y, x]
        errors.append(math.hypot(pu - gu, pv - gv))
    np.testing.assert_allclose(metrics.endpoint_error(predicted, truth, valid), errors)


@given(MASK, MASK, SOME)
def test_mask_metrics_equal_sets_of_pixels(predicted, truth, valid):
    p = {tuple(i) for i in np.argwhere(predicted & valid)}
    g = {tuple(i) for i in np.argwhere(truth & valid)}
    assert metrics.mask_mismatches(predicted, truth, valid) == len(p ^ g)
    expected = len(p & g) / len(p | g) if p | g else 1.0
    assert metrics.mask_iou(predicted, truth, valid) == pytest.approx(expected)


def test_a_scene_two_percent_too_large_is_said_so():
    truth = np.linspace(1.0, 9.0, 30).reshape(5, 6)
    everywhere = np.ones_like(truth, bool)
    assert metrics.scale_error(1.02 * truth, truth, everywhere) == pytest.approx(0.02)
    assert metrics.abs_rel(1.02 * truth, truth, everywhere) == pytest.approx(0.02)
    assert metrics.delta(1.3 * truth, truth, everywhere) == 0.0


def test_medians_are_taken_before_their_ratio_and_ratios_before_their_median():
    truth, predicted = np.array([[1.0, 2.0, 9.0]]), np.array([[2.0, 5.0, 1.0]])
    everywhere = np.ones_like(truth, bool)
    assert metrics.scale_of_medians(predicted, truth, everywhere) == pytest.approx(2.0 / 2.0)
    assert metrics.median_scale(predicted, truth, everywhere) == pytest.approx(1.0 / 2.0)


def test_pixels_that_are_not_valid_count_for_nothing():
    truth = np.ones((2, 2))
    predicted = np.array([[1.0, np.nan], [1.0, 50.0]])
    valid = np.array([[True, False], [True, False]])
    assert metrics.abs_rel(predicted, truth, valid) == 0.0


def test_an_empty_comparison_is_an_error_and_not_a_perfect_score():
    with pytest.raises(ValueError, match='no valid pixel'):
        metrics.abs_rel(np.ones((2, 2)), np.ones((2, 2)), np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match='shapes differ'):
        metrics.abs_rel(np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 3), bool))

"""Medians over whole cells: which pixels count, and how depths of two windows compare."""

from fourd_perception.engine.depth_statistics import depth_ratio, STRIDE, thinned
import numpy as np
import pytest
import torch


def test_thinning_keeps_every_fourth_pixel_and_drops_what_is_no_depth():
    depth = torch.arange(1.0, 65.0).view(1, 8, 8)
    depth[0, 0, 0], depth[0, 0, STRIDE] = 0.0, np.inf
    valid = torch.ones(8, 8, dtype=torch.bool)
    valid[STRIDE, 0] = False
    found = thinned(depth, valid[None])
    assert found.dtype == torch.float64
    np.testing.assert_array_equal(found, [[[np.nan, np.nan], [np.nan, depth[0, STRIDE, STRIDE]]]])


def test_the_ratio_is_the_median_over_the_confident_half():
    rng = np.random.default_rng(0)
    now = torch.from_numpy(rng.uniform(1, 9, (3, 20, 20)))
    confidence = torch.from_numpy(rng.uniform(1, 2, (3, 20, 20)))
    before = 2.5 * now * torch.from_numpy(np.exp(0.01 * rng.normal(size=(3, 20, 20))))
    middle = confidence.flatten(1).median(dim=1).values[:, None, None]
    before[confidence < middle] *= 1.7  # what the network doubts is wrong, all to one side
    ratio, spread = depth_ratio(before, now, confidence)
    assert ratio == pytest.approx(2.5, rel=2e-3)  # over all pixels it is 2.55
    assert spread == pytest.approx(0.01 / np.sqrt(3), rel=0.2)


def test_the_spread_is_that_of_the_pixels_once_per_cell():
    rng = np.random.default_rng(1)
    now = torch.from_numpy(rng.uniform(1, 9, (4, 100, 100)))
    before = now * torch.from_numpy(np.exp(0.03 * rng.normal(size=(4, 100, 100))))
    ratio, spread = depth_ratio(before, now, torch.ones(4, 100, 100))
    assert ratio == pytest.approx(1.0, abs=1e-3)
    assert spread == pytest.approx(0.03 / 2, rel=0.05)


def test_without_a_common_pixel_there_is_no_ratio():
    nothing = torch.full((1, 4, 4), np.nan)
    assert depth_ratio(nothing, torch.ones(1, 4, 4), torch.ones(1, 4, 4)) is None

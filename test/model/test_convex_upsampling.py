"""Convex upsampling against a loop over the fine pixels."""

from __future__ import annotations

from fourd_perception.model.layers.convex_upsampling import convex_upsample
import torch


def test_each_fine_pixel_is_a_weighted_mean_of_the_cells_around() -> None:
    torch.manual_seed(0)
    coarse, logits = torch.randn(2, 3, 4, 5), torch.randn(2, 144, 4, 5)
    fine = convex_upsample(coarse, logits)
    assert fine.shape == (2, 3, 16, 20)
    weights = logits.unflatten(1, (9, 4, 4)).softmax(1)
    for y, x in ((0, 0), (5, 9), (7, 18), (15, 19)):
        row, column = y // 4, x // 4
        expected = torch.zeros(2, 3)
        for k in range(9):
            near_row = min(max(row + k // 3 - 1, 0), 3)
            near_column = min(max(column + k % 3 - 1, 0), 4)
            weight = weights[:, k, y % 4, x % 4, row, column]
            expected += weight[:, None] * coarse[:, :, near_row, near_column]
        torch.testing.assert_close(fine[:, :, y, x], expected)

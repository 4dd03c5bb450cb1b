"""How well a solved motion is known, from the scatter of what blocks of the image ask for."""

from __future__ import annotations

from fourd_perception.geometry.epipolar_residuals import Residuals
from fourd_perception.geometry.robust_equations import Belief, corrected_slope
import torch


def block_of(
    shape: tuple[int, int], blocks: tuple[int, int], device: torch.device
) -> torch.Tensor:
    """int64 [rows * columns]: the block that each pixel of the grid lies in."""
    rows, columns = (
        torch.arange(n, device=device) * count // n for n, count in zip(shape, blocks)
    )
    return (rows[:, None] * blocks[1] + columns).flatten()


def block_scores(
    found: Residuals, belief: Belief, block: torch.Tensor, count: int
) -> torch.Tensor:
    """float64 [B, V * count, 6]: the right sides of the equations, block by block."""
    scores = _scores(found, belief)
    views = scores.shape[1] // len(block)
    scores = scores.unflatten(1, (views, len(block)))
    sums = scores.new_zeros(len(scores), views, count, 6)
    return sums.index_add(2, block, scores).flatten(1, 2).double()


def sensitivity(found: Residuals, belief: Belief, correction: torch.Tensor) -> torch.Tensor:
    """float64 [B, 6, 6]: minus the derivative of the sum of the scores by the motion.

    Pixels count less the further off they are, which the normal equations do not know of.
    """
    across_slope = corrected_slope(found.across_slope, correction)
    along = (belief.robust * belief.along)[..., None] * found.along_slope
    across = (belief.robust * belief.across)[..., None] * found.across_slope
    pull = (belief.along * found.along)[..., None] * found.along_slope
    pull = pull + (belief.across * found.across)[..., None] * found.across_slope
    turn = (belief.alone * found.along)[..., None] * found.along_slope
    turn = turn + (belief.across * found.across)[..., None] * across_slope
    weakening = (2 * belief.slope)[..., None] * pull
    matrix = along.mT @ found.along_slope + across.mT @ across_slope + weakening.mT @ turn
    return matrix.double()


def depth_bias(found: Residuals, belief: Belief, correction: torch.Tensor) -> torch.Tensor:
    """float64 [B, 6]: what the scores would be off by if the corrected depths were the true ones.

    A wrong depth is in the slope as well as in the residual, which does not average out: 20 % of
    error shorten a translation by some percent.
    """
    pull = (belief.robust * belief.along * found.along)[..., None] * found.along_slope
    return (corrected_slope(pull, correction) - pull).sum(dim=1).double()


def covariance(
    sensitivity: torch.Tensor, scores: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """float64 [B, 6, 6] of the motion's step (White's sandwich, clustered by block).

    scores: [B, blocks, 6], whose errors are independent of each other, however they go together
            within a block; bias: [B, 6], counted as an error of its own
    """
    count = (scores != 0).any(dim=-1).sum(dim=-1)[:, None, None]
    scatter = scores.mT @ scores * count / (count - 6).clamp(min=1)
    scatter = scatter + bias[:, :, None] * bias[:, None, :]
    inverse = torch.linalg.inv_ex(sensitivity).inverse
    return inverse @ scatter @ inverse.mT


def _scores(found: Residuals, belief: Belief) -> torch.Tensor:
    along = (belief.robust * belief.along * found.along)[..., None] * found.along_slope
    return along + (belief.robust * belief.across * found.across)[..., None] * found.across_slope

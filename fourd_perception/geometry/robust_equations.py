"""From residuals to equations: how much each pixel counts, and the normal equations of a step."""

from __future__ import annotations

from dataclasses import dataclass

from fourd_perception.geometry.epipolar_residuals import Residuals
import torch

MEDIAN_OF_NORMAL = 0.6745  # of the absolute value of a unit normal variable
MEDIAN_OF_SQUARE = 1.3863  # of the squared length of a unit normal vector of two components
GATE = 9.0  # squared sigmas within which a pixel is an inlier
DEPTH_RANGE = (0.5, 2.0)  # what a pixel's flow may say of its depth, as a factor on the inverse


@dataclass(frozen=True, eq=False)
class Belief:
    """How much the two components of M residuals count.

    noise:        [B, 1], sigma of the flow, pixels
    square:       [B, M], squared length of the residual in sigmas
    robust:       [B, M], given weight times the Geman-McClure weight at `square`
    slope:        [B, M], derivative of `robust` by `square`
    along, across: [B, M], information: inverse variance, errors of the depth shared by many
    alone:        [B, M], information along the line of a pixel taken alone
    """

    noise: torch.Tensor
    square: torch.Tensor
    robust: torch.Tensor
    slope: torch.Tensor
    along: torch.Tensor
    across: torch.Tensor
    alone: torch.Tensor

    @property
    def inlier(self) -> torch.Tensor:
        """Bool [B, M]."""
        return (self.square < GATE) & (self.robust > 0)


def plain_belief(found: Residuals, least_noise: float, softness: float) -> Belief:
    """Both components count alike: the depth is taken for true."""
    square = found.along**2 + found.across**2
    noise = (_median(square, found.weights > 0) / MEDIAN_OF_SQUARE).sqrt().clamp(min=least_noise)
    information = (noise**-2).expand_as(square)
    return _belief(found, noise, information, information, information, softness)


def marginal_belief(
    found: Residuals,
    inlier: torch.Tensor | None,
    depth_error: float,
    shared: float,
    least_noise: float,
    softness: float,
) -> Belief:
    """The error of the depth marginalised.

    inlier: bool [B, M], pixels of which the noise of the flow is measured, across the lines;
            None: all
    shared: pixels that have one error of the depth in common. Together they know as much as one
            of them, as if each were alone with this many times the variance.
    """
    counted = found.weights > 0 if inlier is None else inlier & (found.weights > 0)
    noise = _median(found.across.abs(), counted) / MEDIAN_OF_NORMAL
    noise = noise.clamp(min=least_noise)
    by_depth = (depth_error * found.spread) ** 2
    return _belief(
        found,
        noise,
        1 / (noise**2 + shared * by_depth),
        (noise**-2).expand_as(by_depth),
        1 / (noise**2 + by_depth),
        softness,
    )


def _belief(
    found: Residuals,
    noise: torch.Tensor,
    along: torch.Tensor,
    across: torch.Tensor,
    alone: torch.Tensor,
    softness: float,
) -> Belief:
    square = alone * found.along**2 + across * found.across**2
    inverse = 1 / (1 + square / softness**2)
    robust = found.weights * inverse**2
    return Belief(noise, square, robust, -2 / softness**2 * robust * inverse, along, across, alone)


@dataclass(frozen=True, eq=False)
class Equations:
    """Of a step of the motion, translation then rotation: `matrix` [B, 6, 6], `right` [B, 6]."""

    matrix: torch.Tensor
    right: torch.Tensor


def equations(found: Residuals, belief: Belief, slope_across: torch.Tensor) -> Equations:
    """Normal equations, float64; slope_across [B, M, 6] see `corrected_slope`."""
    along = (belief.robust * belief.along)[..., None] * found.along_slope
    across = (belief.robust * belief.across)[..., None] * found.across_slope
    matrix = along.mT @ found.along_slope + across.mT @ slope_across
    right = along.mT @ found.along[..., None] + across.mT @ found.across[..., None]
    return Equations(matrix.double(), right[..., 0].double())


def geometry(found: Residuals, belief: Belief) -> torch.Tensor:
    """float64 [B, 6, 6], square pixels: how far the flow of the inliers changes by a step."""
    slopes = torch.cat([found.along_slope, found.across_slope], dim=1)
    weights = torch.cat([belief.robust, belief.robust], dim=1)
    return (slopes.mT @ (weights[..., None] * slopes)).double()


def depth_correction(found: Residuals, belief: Belief, depth_error: float) -> torch.Tensor:
    """[B, M, 1]: factor on the inverse depth at which the flow and the given depth agree best."""
    gain = depth_error**2 * found.spread * belief.alone
    return (1 + gain * found.along).clamp(*DEPTH_RANGE)[..., None]


def corrected_slope(slope: torch.Tensor, correction: torch.Tensor) -> torch.Tensor:
    """Slopes [B, M, 6] at the corrected depth: translations move a pixel by its inverse depth.

    Epipolar lines turn with the motion, and what a wrong depth leaves along them turns into
    residual across: the slope of the residual across is that at the true depth.
    """
    return torch.cat([slope[..., :3] * correction, slope[..., 3:]], dim=-1)


def _median(values: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """[B, 1]; 0 where nothing counts."""
    counting = torch.where(counted, values, torch.nan)
    return counting.nanmedian(dim=1, keepdim=True).values.nan_to_num()

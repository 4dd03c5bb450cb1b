"""Gauss-Newton steps of the flow: what the pixels themselves say, to a fraction of one.

Lucas and Kanade's window of products, and beside it, as in Bruhn, Weickert and Schnoerr (2005),
the neighbours' flow: where the window tells of a motion it decides, where it is plain, or tells of
one direction only, the neighbours do.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch.nn import functional as F

# Side of the neighbourhood, in pixels of its level, in which images get mean 0 and deviation 1.
NORMAL_SIDE = 9
# Deviation (of 1) below which a neighbourhood counts as flat.
FLAT = 0.02
# Difference of normalised images beyond which a pixel counts less: it shows something else.
ROBUST = 0.7
# Neighbours count by their smallest eigenvalue against this one, and by how far forward and
# backward flow disagree, in pixels of the level.
FIRM, DISAGREEMENT = 0.05, 1.0
LEAST_TRUST = 1e-3
# Logarithm of what a pixel's distance from the neighbours' flow costs, where nothing is learned.
LOG_RIGOUR = -2.3
MOST_LOG_RIGOUR = 8.0
EVIDENCE = 6


@dataclass(frozen=True, eq=False)
class Alignment:
    """How two images disagree under a flow, at one level; no gradient flows into any of it.

    products:     [B, 5, h, w], means over a window of gx gx, gx gy, gy gy, gx r and gy r, of the
                  gradient g and the residual r of normalised images, summed over colours
    eigenvalue:   [B, 1, h, w], the smallest of the tensor (gx gx, gx gy; gx gy, gy gy)
    residual:     [B, 1, h, w], mean square over the window
    disagreement: [B, 2, h, w] of forward and backward flow, in pixels of the level
    """

    products: torch.Tensor
    eigenvalue: torch.Tensor
    residual: torch.Tensor
    disagreement: torch.Tensor

    @property
    def trust(self) -> torch.Tensor:
        """How much the flow of a place is worth to its neighbours, [B, 1, h, w], positive."""
        firm = self.eigenvalue / (self.eigenvalue + FIRM)
        distance = self.disagreement.square().sum(1, keepdim=True)
        return firm * (-distance / DISAGREEMENT**2).exp() + LEAST_TRUST

    @property
    def evidence(self) -> torch.Tensor:
        """All that a network may want to know, in sizes that suit it, [B, 6, h, w]."""
        step = gauss_newton(
            self.products, torch.zeros_like(self.disagreement), math.exp(LOG_RIGOUR)
        )
        energies = torch.cat([self.eigenvalue, self.residual], dim=1)
        return torch.cat(
            [0.2 * (energies + 1e-3).log(), step.tanh(), (0.3 * self.disagreement).tanh()], dim=1
        )

    def pooled(self, factor: int) -> Alignment:
        """The same of cells of factor x factor pixels."""
        products, residual, disagreement = (
            F.avg_pool2d(x, factor) for x in (self.products, self.residual, self.disagreement)
        )
        return Alignment(products, smallest_eigenvalue(products), residual, disagreement)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Images [B, 3, h, w] of local mean 0 and deviation (of all colours together) 1."""
    detail = images - _inner_mean(images)
    power = _inner_mean(detail.square().mean(1, keepdim=True))
    return detail * (power + FLAT**2).rsqrt()


@torch.no_grad()
def align(images: torch.Tensor, flow: torch.Tensor, window: int) -> Alignment:
    """Compare each of the images with its partner under the flow.

    images: [2 B, 3, h, w], normalised; the first B and the last B are each other's partners
    flow:   [2 B, 2, h, w] of each to its partner, pixels of this level
    window: side of the mean, applied twice
    """
    batch = len(images) // 2
    partner = torch.cat([images, flow.float()], dim=1).roll(batch, 0)
    there = sampled(partner, flow)
    warped, back = there[:, :3], there[:, 3:]
    (ax, ay), (wx, wy) = _gradient(images), _gradient(warped)
    gx, gy, r = 0.5 * (ax + wx), 0.5 * (ay + wy), warped - images
    energy = (r * r).mean(1, keepdim=True)
    products = torch.stack(
        [(a * b).sum(1) for a, b in ((gx, gx), (gx, gy), (gy, gy), (gx, r), (gy, r))], dim=1
    )
    weight = 1 / (1 + energy / ROBUST**2)
    means = torch.cat([weight * products, energy], dim=1)
    for _ in range(2):
        means = window_mean(means, window)
    return Alignment(
        means[:, :5], smallest_eigenvalue(means[:, :5]), means[:, 5:], flow.float() + back
    )


def gauss_newton(
    products: torch.Tensor, neighbours: torch.Tensor, rigour: torch.Tensor | float
) -> torch.Tensor:
    """The step [B, 2, h, w] that lowers the residual and nears the neighbours' flow.

    products:   of an `Alignment`
    neighbours: [B, 2, h, w], what leads to the neighbours' flow
    rigour:     [B, 1, h, w] or a number > 0, how much a square of the distance from it costs
    """
    xx, xy, yy, xr, yr = products.split(1, dim=1)
    xx, yy = xx + rigour, yy + rigour
    xr, yr = xr - rigour * neighbours[:, :1], yr - rigour * neighbours[:, 1:]
    scale = -1 / (xx * yy - xy * xy)
    return torch.cat([scale * (yy * xr - xy * yr), scale * (xx * yr - xy * xr)], dim=1)


def rigour_of(answer: torch.Tensor) -> torch.Tensor:
    """exp(answer), of which neither the square nor its reciprocal overflows."""
    return (MOST_LOG_RIGOUR * (answer / MOST_LOG_RIGOUR).tanh()).exp()


def sampled(maps: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, h, w] read where the flow [B, 2, h, w] leads; the border's values outside."""
    height, width = flow.shape[2:]
    x = torch.arange(width, device=flow.device) + flow[:, 0].float()
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1].float()
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(maps, grid, padding_mode='border', align_corners=False)


def smallest_eigenvalue(products: torch.Tensor) -> torch.Tensor:
    """Of the tensors in products [B, 5, h, w]; [B, 1, h, w]."""
    xx, xy, yy = products[:, :3].split(1, dim=1)
    return 0.5 * (xx + yy) - (0.25 * (xx - yy).square() + xy.square()).sqrt()


def window_mean(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Sums over side x side places (odd), divided by their number; nothing outside counts."""
    rows = F.avg_pool2d(maps, (1, side), 1, (0, side // 2))
    return F.avg_pool2d(rows, (side, 1), 1, (side // 2, 0))


def _inner_mean(images: torch.Tensor) -> torch.Tensor:
    """Over the neighbourhood's places inside the image."""
    count = window_mean(torch.ones_like(images[:1, :1]), NORMAL_SIDE)
    return window_mean(images, NORMAL_SIDE) / count


def _gradient(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences along x and y."""
    wide = F.pad(x, (1, 1, 1, 1), mode='replicate')
    inner = wide[..., 1:-1, :], wide[..., 1:-1]
    return (
        0.5 * (inner[0][..., 2:] - inner[0][..., :-2]),
        0.5 * (inner[1][..., 2:, :] - inner[1][..., :-2, :]),
    )

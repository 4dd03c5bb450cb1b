"""A first flow without parameters: Gauss-Newton steps from coarse images to finer ones."""

from __future__ import annotations

from fourd_perception.model.heads.flow_alignment import (
    align,
    gauss_newton,
    normalised,
    window_mean,
)
import torch
from torch.nn import functional as F

# Pixels along a cell of each level.
CELLS = (16, 8, 4)
STEPS = 4
WINDOW = 5
# What a distance of one cell from the neighbours' flow costs.
RIGOUR = 0.1


def neighbour_mean(maps: torch.Tensor, weight: torch.Tensor, side: int) -> torch.Tensor:
    """Weighted mean of maps [B, C, h, w] over side x side cells; weight > 0, [B, 1, h, w]."""
    total = window_mean(torch.cat([weight * maps, weight], dim=1), side)
    return total[:, :-1] / total[:, -1:]


@torch.no_grad()
def pyramid_flow(images: torch.Tensor) -> torch.Tensor:
    """Flow [2 B, 2, H / 4, W / 4] in cells of 4 pixels, of each image to its partner.

    images: [2 B, 3, H, W], sides multiples of 16; the first B and the last B are partners
    Large motions are found where they are small, among few cells. As in `FlowUpdate` a place
    without texture, or whose flow does not lead back, follows its neighbours.
    """
    height, width = images.shape[2:]
    coarsest = height // CELLS[0], width // CELLS[0]
    flow = torch.zeros(len(images), 2, *coarsest, device=images.device)
    for level, cell in enumerate(CELLS):
        if level:
            flow = F.interpolate(2 * flow, scale_factor=2, mode='bilinear', align_corners=False)
        small = normalised(F.avg_pool2d(images.float(), cell))
        for _ in range(STEPS):
            alignment = align(small, flow, WINDOW)
            towards = neighbour_mean(flow, alignment.trust, WINDOW) - flow
            flow = flow + gauss_newton(alignment.products, towards, RIGOUR)
    return flow

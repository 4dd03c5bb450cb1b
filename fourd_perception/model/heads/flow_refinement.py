"""The flow at 1/2 and at full size: Gauss-Newton steps, whose neighbours a small network picks."""

from __future__ import annotations

from fourd_perception.model.heads.flow_alignment import (
    align,
    EVIDENCE,
    gauss_newton,
    LOG_RIGOUR,
    rigour_of,
)
from fourd_perception.model.layers.convex_upsampling import convex_upsample
import torch
from torch import nn
from torch.nn import functional as F

# Pixels between the neighbours whose flow a step may near.
SPACING = 2


class FlowRefinement(nn.Module):
    """Twice the size, and steps of the flow there; few channels, as there are many pixels.

    The network does not answer with flow: it says which of the 3x3 neighbours count, beside the
    trust that each deserves, and how much they count against the pixels of both images.
    """

    def __init__(self, coarse_width: int, width: int, updates: int, window: int) -> None:
        super().__init__()
        self.updates, self.window = updates, window
        self.doubling = nn.Conv2d(coarse_width, 9 * 4, 3, padding=1)
        self.lift = nn.Conv2d(coarse_width, width, 1)
        self.read = nn.Conv2d(width + 3 + EVIDENCE, width, 3, padding=1)
        self.think = nn.Conv2d(width, width, 3, padding=1)
        self.answer = nn.Conv2d(width, 10, 3, padding=1)
        nn.init.zeros_(self.answer.weight)
        self.answer.bias = nn.Parameter(torch.tensor([0.0] * 9 + [LOG_RIGOUR]))

    def forward(
        self, state: torch.Tensor, flow: torch.Tensor, images: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """State [2 B, width, h, w] and the flow after every update, in pixels of this level.

        state, flow: [2 B, coarse_width or 2, h / 2, w / 2] of the level below, in its pixels
        images:      [2 B, 3, h, w], normalised; see `align`
        """
        flow = convex_upsample(2 * flow, self.doubling(state), 2)
        state = F.interpolate(self.lift(state), scale_factor=2, mode='bilinear')
        flows: list[torch.Tensor] = []
        for _ in range(self.updates):
            state, flow = self._update(state, flow.detach() if flows else flow, images)
            flows.append(flow)
        return state, flows

    def _update(
        self, state: torch.Tensor, flow: torch.Tensor, images: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        alignment = align(images, flow, self.window)
        read = self.read(torch.cat([state, images, alignment.evidence], dim=1)).relu()
        state = state + self.think(read).relu()
        answer = self.answer(state).float()
        shares = _neighbours(alignment.trust.log())[:, 0] + answer[:, :9]
        around = (shares.softmax(1)[:, None] * _neighbours(flow)).sum(2)
        step = gauss_newton(alignment.products, around - flow, rigour_of(answer[:, 9:]))
        return state, flow + step


def _neighbours(maps: torch.Tensor) -> torch.Tensor:
    """Maps [B, C, h, w] at the 3x3 places around each, [B, C, 9, h, w]."""
    wide = F.pad(maps, (SPACING,) * 4, mode='replicate')
    near = F.unfold(wide, 3, dilation=SPACING)
    return near.view(*maps.shape[:2], 9, *maps.shape[2:])

"""One update of the flow: what correlation and alignment say, a convolutional GRU, a step."""

from __future__ import annotations

from collections.abc import Sequence

from fourd_perception.model.heads.flow_alignment import (
    Alignment,
    EVIDENCE,
    gauss_newton,
    LOG_RIGOUR,
    rigour_of,
)
from fourd_perception.model.heads.flow_peaks import HEIGHT_GAIN, Peaks
from fourd_perception.model.heads.flow_pyramid import neighbour_mean
import torch
from torch import nn

FLOW_SCALE = 0.1
# Found by trying a few on layered pairs; training goes on from here.
MATCH_GAIN = 12.0
LEARNED_BELIEF, ALIGNED_BELIEF, NEIGHBOUR_BELIEF, REST_BELIEF = -6.0, 1.0, -1.0, 0.0
# Cells along the side of the two neighbourhoods.
NEIGHBOURHOODS = (5, 15)
# Pixels along a cell, for each of the two alignments.
FINENESS = (1, 2)


class FlowUpdate(nn.Module):
    """Reads correlation, alignment and the flow so far, remembers, and answers with a step.

    The step is the mean, by belief, of opinions: where each window of the correlation peaks, the
    Gauss-Newton step of each alignment, what would bring the flow to that of the neighbours whose
    own flow is to be trusted, which fills in hidden and plain surfaces, and what would bring it
    to rest.
    """

    def __init__(self, levels: Sequence[int], radius: int, width: int) -> None:
        """For windows of several volumes, each at so many levels."""
        super().__init__()
        self.peaks = Peaks(levels, radius)
        windows, aligned, near = sum(levels), len(FINENESS), len(NEIGHBOURHOODS)
        values = windows * (2 * radius + 1) ** 2
        self.read = nn.Conv2d(values + 4 * windows + EVIDENCE * aligned + 2 * near + 3, width, 1)
        self.motion = nn.Conv2d(width, width, 3, padding=1)
        self.gates = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)
        self.head = nn.Conv2d(width, width, 3, padding=1)
        self.match_gain = nn.Parameter(torch.tensor([MATCH_GAIN]))
        # Belief in each opinion, besides what it deserves by itself, and in no step at all; the
        # logarithm of the rigour of each alignment; a step of its own.
        self.answers = (windows + aligned + near + 2, aligned, 2)
        self.step = nn.Conv2d(width, sum(self.answers), 3, padding=1)
        nn.init.zeros_(self.step.weight)
        # Volumes after the first are learned ones, which mean nothing yet.
        bias = [0.0] * levels[0] + [LEARNED_BELIEF] * (windows - levels[0])
        bias += [ALIGNED_BELIEF] * aligned + [NEIGHBOUR_BELIEF] * near + [REST_BELIEF, 0.0]
        bias += [LOG_RIGOUR] * aligned + [0.0, 0.0]
        self.step.bias = nn.Parameter(torch.tensor(bias))

    def forward(
        self,
        hidden: torch.Tensor,
        context: torch.Tensor,
        flow: torch.Tensor,
        rest: torch.Tensor,
        windows: Sequence[torch.Tensor],
        alignments: Sequence[Alignment],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; returns the new hidden state and flow.

        hidden:     [B, width, h, w]
        context:    [B, 3 width, h, w], added inside the gates: the same at every update, so its
                    convolution is done once, outside
        flow:       [B, 2, h, w] in cells
        rest:       [B, 1, h, w], how well each cell matches the same place of the other image
        windows:    of the correlation, each [B, h w, k, k], in the order volume, level
        alignments: under this flow, of images with `FINENESS` pixels along a cell, each [B, h, w]
        """
        size = hidden.shape[2:]
        offsets, height, spread, logit = (
            x.movedim(1, -1).unflatten(-1, size) for x in self.peaks(windows)
        )
        # The middle of the first window tells how well the flow matches as it is.
        middle = windows[0].shape[-1] // 2
        match = windows[0][..., middle, middle].float().view(-1, 1, *size)
        trust = (self.match_gain * (match - 1)).exp() * alignments[0].trust
        near = [neighbour_mean(torch.cat([flow, match], 1), trust, n) for n in NEIGHBOURHOODS]
        towards = [n[:, :2] - flow for n in near]
        pixels = FLOW_SCALE * torch.cat([offsets.flatten(1, 2), spread, flow, *towards], dim=1)
        values = torch.cat([w.flatten(2) for w in windows], dim=2)
        values = values.transpose(1, 2).unflatten(2, size)
        told = [values, pixels, height, rest, *(a.evidence for a in alignments)]
        hidden = self._remembered(hidden, context, torch.cat(told, dim=1))
        answer = self.step(self.head(hidden).relu()).float()
        belief, rigour, own = answer.split(self.answers, dim=1)
        steps = [
            gauss_newton(a.products, towards[0] * fine, rigour_of(r)) / fine
            for a, fine, r in zip(alignments, FINENESS, rigour.split(1, dim=1))
        ]
        matches = [match] * len(steps) + [n[:, 2:] for n in near] + [rest]
        deserved = [logit, *(HEIGHT_GAIN * m for m in matches), torch.zeros_like(match)]
        belief = (belief + torch.cat(deserved, dim=1)).softmax(1)[:, :-1]
        opinions = torch.cat([offsets, torch.stack([*steps, *towards, -flow], dim=1)], dim=1)
        return hidden, flow + (belief[:, :, None] * opinions).sum(1) + own

    def _remembered(
        self, hidden: torch.Tensor, context: torch.Tensor, told: torch.Tensor
    ) -> torch.Tensor:
        """The hidden state after hearing all that is told, [B, channels, h, w]."""
        width = hidden.shape[1]
        motion = self.motion(self.read(told).relu()).relu()
        both = self.gates(torch.cat([hidden, motion], dim=1)) + context[:, : 2 * width]
        update, reset = both.sigmoid().chunk(2, dim=1)
        fresh = self.candidate(torch.cat([reset * hidden, motion], dim=1))
        return torch.lerp(hidden, (fresh + context[:, 2 * width :]).tanh(), update)

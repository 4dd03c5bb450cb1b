"""One update of the flow: what the correlation says, a convolutional GRU, a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

FLOW_SCALE = 0.1
# Found by trying a few on layered pairs; training goes on from here.
SHARPNESS, HEIGHT_GAIN, SPREAD_COST, MATCH_GAIN = 40.0, 8.0, 1.5, 12.0
LEARNED_BELIEF, NEIGHBOUR_BELIEF = -4.0, 5.0
# Cells along the side of the two neighbourhoods.
NEIGHBOURHOODS = (5, 15)


class Peaks(nn.Module):
    """Where each window of the correlation is high, how high, and how narrowly.

    A window tells of a motion by the place of its peak, and of its worth by height and width.
    Reading these off in closed form makes the updates follow the fixed descriptor before any
    training, and leave zero within a few steps of it.
    """

    def __init__(self, levels: int, volumes: int, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.units = tuple(2.0**level for level in range(levels)) * volumes
        windows = levels * volumes
        self.log_sharpness = nn.Parameter(torch.full((windows,), SHARPNESS).log())
        self.height_gain = nn.Parameter(torch.full((windows,), HEIGHT_GAIN))
        self.spread_cost = nn.Parameter(torch.full((windows,), SPREAD_COST))

    def forward(self, windows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Windows, each [B, N, k, k] (y, x), to what each says.

        Returns the mean offset (x, y) under a softmax, in cells, [B, N, windows, 2], the mean
        correlation under it, its standard deviation in cells, and from these two the logit of
        belief in the offset, each [B, N, windows].
        """
        reach = torch.arange(
            -self.radius, self.radius + 1, device=windows[0].device, dtype=torch.float32
        )
        offsets, heights, spreads = [], [], []
        for window, log_sharpness, unit in zip(windows, self.log_sharpness, self.units):
            flat = window.float().flatten(2)
            weights = (flat * log_sharpness.exp()).softmax(-1)
            heights.append((weights * flat).sum(-1))
            weights = weights.unflatten(2, window.shape[2:])
            along = torch.stack([weights.sum(2), weights.sum(3)], dim=2)  # [B, N, 2, k]
            offset = (along * reach).sum(-1)
            variance = (along * (reach - offset[..., None]).square()).sum((-1, -2))
            offsets.append(unit * offset)
            spreads.append(unit * (variance + 1e-4).sqrt())
        height, spread = torch.stack(heights, dim=2), torch.stack(spreads, dim=2)
        logit = self.height_gain * height - self.spread_cost * spread
        return torch.stack(offsets, dim=2), height, spread, logit


def neighbour_flow(flow: torch.Tensor, weight: torch.Tensor, side: int) -> torch.Tensor:
    """Weighted mean of the flow [B, 2, h, w] over side x side cells; weight > 0, [B, 1, h, w]."""
    total = F.avg_pool2d(torch.cat([weight * flow, weight], dim=1), side, 1, side // 2)
    return total[:, :2] / total[:, 2:]


class FlowUpdate(nn.Module):
    """Reads correlation windows and the flow so far, remembers, and answers with a step.

    The step is the mean, by belief, of what the windows say and of what would bring the flow to
    that of the neighbours whose own flow matches well, which fills in hidden and plain surfaces.
    """

    def __init__(self, levels: int, volumes: int, radius: int, width: int) -> None:
        super().__init__()
        self.peaks = Peaks(levels, volumes, radius)
        windows = levels * volumes
        values = windows * (2 * radius + 1) ** 2
        self.read = nn.Conv2d(values + 4 * windows + 2 * len(NEIGHBOURHOODS) + 2, width, 1)
        self.motion = nn.Conv2d(width, width, 3, padding=1)
        self.gates = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(2 * width, width, 3, padding=1)
        self.head = nn.Conv2d(width, width, 3, padding=1)
        self.match_gain = nn.Parameter(torch.tensor(MATCH_GAIN))
        # Belief in each window, besides what its peak deserves, in the neighbours and in no step
        # at all; and a step of its own.
        opinions = windows + len(NEIGHBOURHOODS) + 1
        self.step = nn.Conv2d(width, opinions + 2, 3, padding=1)
        bias = torch.zeros(opinions + 2)
        # Volumes after the first are learned ones, which mean nothing yet.
        bias[levels:windows] = LEARNED_BELIEF
        bias[windows : opinions - 1] = NEIGHBOUR_BELIEF
        nn.init.zeros_(self.step.weight)
        self.step.bias = nn.Parameter(bias)

    def forward(
        self,
        hidden: torch.Tensor,
        context: torch.Tensor,
        flow: torch.Tensor,
        windows: Sequence[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; returns the new hidden state and flow.

        hidden:  [B, width, h, w]
        context: [B, 3 width, h, w], added inside the gates: the same at every update, so its
                 convolution is done once, outside
        flow:    [B, 2, h, w] in cells
        windows: of the correlation, each [B, h w, k, k], in the order volume, level
        """
        size, width = hidden.shape[2:], hidden.shape[1]
        offsets, height, spread, logit = self.peaks(windows)
        neighbours = self._towards_neighbours(flow, windows[0])
        offsets = torch.cat([offsets, neighbours], dim=2)
        scaled = FLOW_SCALE * torch.cat([offsets.flatten(2), spread], dim=2)
        found = torch.cat([*(w.flatten(2) for w in windows), scaled, height], dim=2)
        read = found.transpose(1, 2).unflatten(2, size)
        motion = self.read(torch.cat([read, FLOW_SCALE * flow], dim=1)).relu()
        motion = self.motion(motion).relu()
        both = self.gates(torch.cat([hidden, motion], dim=1)) + context[:, : 2 * width]
        update, reset = both.sigmoid().chunk(2, dim=1)
        fresh = self.candidate(torch.cat([reset * hidden, motion], dim=1))
        hidden = torch.lerp(hidden, (fresh + context[:, 2 * width :]).tanh(), update)
        answer = self.step(self.head(hidden).relu()).float()
        belief = answer[:, :-2].flatten(2).transpose(1, 2)  # [B, N, opinions]
        deserved = F.pad(logit, (0, belief.shape[2] - logit.shape[2]))
        belief = (belief + deserved).softmax(-1)[..., :-1, None]
        chosen = (belief * offsets).sum(2).transpose(1, 2).unflatten(2, size)
        return hidden, flow + chosen + answer[:, -2:]

    def _towards_neighbours(self, flow: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        """What leads from each cell's flow to its neighbours', [B, N, neighbourhoods, 2].

        window: of the first volume at its finest level; its middle tells how well a flow matches
        """
        match = window[..., self.peaks.radius, self.peaks.radius].float()
        weight = (self.match_gain * (match - 1)).exp().view(len(flow), 1, *flow.shape[2:]) + 1e-6
        means = [neighbour_flow(flow, weight, side) - flow for side in NEIGHBOURHOODS]
        return torch.stack(means, dim=1).flatten(3).permute(0, 3, 1, 2)

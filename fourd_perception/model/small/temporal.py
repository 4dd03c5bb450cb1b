"""Cross-time local fusion as a convolution along each view's time (4D-VGGT B.5, B.14)."""

from __future__ import annotations

from fourd_perception.model.cross_time import window_sum
from fourd_perception.model.small.attention import Reading
import torch
from torch import nn


class StreamedConvolution(nn.Module):
    """A depth-wise convolution over the window of each token; starts at zero.

    In a stream it keeps the inputs of the past slices that the window reaches.
    """

    def __init__(self, dim: int, window: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(window, dim))

    def forward(self, x: torch.Tensor, rotary: None, reading: Reading) -> torch.Tensor:
        """Tokens [B, S, P, C] to the same; missing neighbours count as zero."""
        plan, memory = reading.plan, reading.memory
        if memory is not None and memory.held is not None:
            x = torch.cat([*memory.held, x], dim=1)
        if memory is not None:
            slices = (*plan.past, *plan.slices)
            reach = slices[max(0, len(slices) - len(self.weight) // 2) :]
            memory.held = (x[:, x.shape[1] - sum(map(len, reach)) :],)
        return window_sum(x, self.weight, plan.neighbours)

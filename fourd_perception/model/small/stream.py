"""What a stream remembers of the slices it has read, bounded by its band."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from fourd_perception.model.small.grid_plan import Slices
import torch


@dataclass(eq=False)
class Memory:
    """Tensors that one layer keeps of past slices; None before the first."""

    held: tuple[torch.Tensor, ...] | None = None


@dataclass(eq=False)
class StreamState:
    """Keys, values and inputs of the last slices of one recording, layer by layer.

    Feeding a recording slice by slice gives what one banded pass over the whole of it gives. It
    does not give what a fresh run on the last `band` slices gives: what evicted slices told the
    ones that are kept lives on.

    band:     slices that a slice may read, itself included
    slices:   views of the slices that layers may hold, oldest first
    memories: by the layer's name
    """

    band: int
    slices: Slices = ()
    memories: defaultdict[str, Memory] = field(default_factory=lambda: defaultdict(Memory))

    def memory(self, layer: str) -> Memory:
        """What the named layer keeps."""
        return self.memories[layer]

    def advance(self, slices: Slices, window: int) -> None:
        """Count slices as read, and forget those that nobody can reach."""
        reach = max(self.band - 1, window // 2)
        together = self.slices + slices
        self.slices = together[max(0, len(together) - reach) :]

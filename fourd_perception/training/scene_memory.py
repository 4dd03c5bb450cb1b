"""Generated scenes that several samples see: where drawing costs as much as learning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from fourd_perception.geometry.clips import Clips, joined
from fourd_perception.training.sample_seeds import FIRST
import torch

# Scenes in a round: so many samples lie between two that see the same one.
ROUND = 512


def scene_of(seed: int, repeats: int) -> int:
    """The seed of the scene that a sample sees: `repeats` rounds see the same scenes."""
    turn, place = divmod(seed - FIRST, ROUND)
    return FIRST + turn // repeats * ROUND + place


class SceneMemory:
    """Draws scenes, keeps the newest, and draws none of those again.

    draw: clips of seeds, each a function of its own seed
    """

    def __init__(self, draw: Callable[[Sequence[int]], Clips]) -> None:
        self._draw = draw
        self._kept: OrderedDict[int, Clips] = OrderedDict()

    def __len__(self) -> int:
        """Number of scenes that are remembered."""
        return len(self._kept)

    def clips(self, scenes: Sequence[int]) -> Clips:
        """Those of the scenes of these seeds."""
        new = [scene for scene in dict.fromkeys(scenes) if scene not in self._kept]
        if new:
            drawn = self._draw(new)
            for i, scene in enumerate(new):
                self._kept[scene] = drawn[torch.tensor([i])]
        found = joined([self._kept[scene] for scene in scenes])
        while len(self._kept) > ROUND:
            self._kept.popitem(last=False)
        return found

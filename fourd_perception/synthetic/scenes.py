"""Clips of procedural scenes, as many as one wants, with everything known of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
import math

from fourd_perception.geometry.clips import Clips, joined
from fourd_perception.synthetic.generator.compose import compose
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.render import render
from fourd_perception.synthetic.generator.spec import SceneSpec, SETTINGS
import torch

# Rendered at a time where clips are rendered together.
_MOST_PIXELS = 1 << 21

__all__ = ['generate', 'SceneSpec', 'SETTINGS']


def generate(
    seeds: Sequence[int],
    spec: SceneSpec,
    device: torch.device | str = 'cpu',
    compiled: bool = False,
) -> Clips:
    """One clip per seed on a device: a function of the seed and the spec alone.

    On the CPU clips are rendered one by one, so that they are the same bits in every batch. With
    `compiled` kernels it is about three times as fast, after the minutes that compiling them takes
    at first; some pixels on edges may then fall to the other side.
    """
    place = torch.device(device)
    scenes = compose(Draws.of(seeds), spec)
    pixels = math.prod(spec.size) * spec.views * spec.instants
    together = 1 if place.type == 'cpu' else max(_MOST_PIXELS // pixels, 1)
    with torch.no_grad(), torch.autocast(place.type, enabled=False):
        return joined(
            [
                render(scenes.of_clips(slice(i, i + together)), spec, place, compiled)
                for i in range(0, len(seeds), together)
            ]
        )

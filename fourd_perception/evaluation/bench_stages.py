"""What the benches of all networks share: their settings, images, and the flow of a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fourd_perception.model.heads.flow import FlowModule
import torch

Stage = Callable[[], object]


@dataclass(frozen=True)
class BenchSettings:
    """A grid of views x times images of width x height pixels; precision is `fp32` or `bf16`."""

    preset: str
    views: int
    times: int
    width: int
    height: int
    device: str = 'cpu'
    precision: str = 'fp32'
    repeats: int = 3
    seed: int = 0


def random_images(settings: BenchSettings, device: torch.device) -> torch.Tensor:
    """Images [1, views times, 3, H, W] in 0..1, drawn from the seed."""
    generator = torch.Generator().manual_seed(settings.seed)
    shape = 1, settings.views * settings.times, 3, settings.height, settings.width
    return torch.rand(shape, generator=generator).to(device)


def flow_pairs(flow: FlowModule, images: torch.Tensor, views: int, pairs: int) -> None:
    """Flow of the `pairs` newest cells of [1, S, 3, H, W], one at a time as a predictor does."""
    count = images.shape[1]
    for newer in range(count - pairs, count):
        flow(images[:, newer - views], images[:, newer])

"""A small task that learns in a second, and the command line with it among the tasks.

`python toy_task.py train CONFIG ...` is `fourd-perception train CONFIG ...`; behind `then` may
follow further commands for the same process, which saves it the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import sys

from fourd_perception.cli import main
from fourd_perception.model.layers.block import Block
from fourd_perception.training.processes import joined_processes
from fourd_perception.training.task import StepContext
from fourd_perception.training.tasks import TASKS
import numpy as np
import torch
from torch import nn

POINTS = 12


@dataclass(frozen=True)
class ToyConfig:
    """Sizes of the network."""

    dim: int = 16
    depth: int = 2


class ToyNetwork(nn.Module):
    """Points in the plane to their mean and to their greatest distance from it."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(2, config.dim)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, config.dim))
        self.trunk = nn.ModuleList(
            Block(config.dim, 2, qkv_bias=False) for _ in range(config.depth)
        )
        self.dropout = nn.Dropout(0.1)
        self.centre = nn.Linear(config.dim, 2)
        self.radius = nn.Linear(config.dim, 1)
        self.rare = nn.Linear(config.dim, 1)

    def features(self, points: torch.Tensor) -> torch.Tensor:
        """[B, dim] of points [B, N, 2]; not `forward`, as real networks have it."""
        tokens = self.embed(points)
        tokens = torch.cat([self.token.expand(len(points), 1, -1), tokens], dim=1)
        for block in self.trunk:
            tokens = block(tokens)
        return tokens[:, 0]


@dataclass(frozen=True)
class ToySettings:
    """What the toy's configuration says.

    scale:       of the second term
    noisy:       whether the network draws random numbers while it trains
    broken_from: step from which the loss is not finite
    broken_to:   step up to which
    broken_every: of the steps between, only every n-th
    """

    scale: float = 1.0
    noisy: bool = False
    broken_from: int = 1000000
    broken_to: int = 1000000
    broken_every: int = 1

    def build(self, device: torch.device) -> ToyTask:
        """The toy with drawn weights."""
        return ToyTask(self, device)


def draw(seed: int) -> torch.Tensor:
    """The points of one sample, [N, 2]."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(1, generator=generator)
    return torch.randn(1, 2, generator=generator) + spread * torch.randn(
        POINTS, 2, generator=generator
    )


class ToyTask:
    """Find mean and radius; every third step a part of the network is used that else is not."""

    def __init__(self, settings: ToySettings, device: torch.device) -> None:
        self.settings = settings
        self.network: nn.Module = ToyNetwork(ToyConfig()).to(device)

    def losses(self, context: StepContext) -> Mapping[str, torch.Tensor]:
        """Squared errors of mean, radius and, rarely, of a third number."""
        network = self.network
        assert isinstance(network, ToyNetwork)
        points = torch.stack([draw(seed) for seed in context.seeds]).to(context.device)
        features = network.features(points)
        if self.settings.noisy:
            features = network.dropout(features)
        mean, radius = truth(points)
        errors = (network.centre(features).float() - mean).square().mean(1)
        settings = self.settings
        broken = context.step in range(
            settings.broken_from, settings.broken_to, settings.broken_every
        )
        rare = errors.new_zeros(len(errors))
        if context.step % 3 == 2:
            rare = (network.rare(features)[:, 0].float() - mean[:, 0]).square()
        return {
            'mean': errors * (float('nan') if broken else 1.0),
            'radius': self.settings.scale
            * (network.radius(features)[:, 0].float() - radius).square(),
            'rare': rare,
        }

    def shared_parameters(self) -> Sequence[nn.Parameter]:
        """Of the trunk."""
        assert isinstance(self.network, ToyNetwork)
        return list(self.network.trunk.parameters())

    def validate(self, network: nn.Module, budget: int) -> Mapping[str, float]:
        """Mean distance between true and found mean."""
        assert isinstance(network, ToyNetwork)
        assert not network.training
        points = torch.stack([draw(seed) for seed in range(budget)])
        points = points.to(network.token.device)
        mean, _ = truth(points)
        return {
            'distance': (network.centre(network.features(points)) - mean).norm(dim=1).mean().item()
        }

    def pictures(self, network: nn.Module) -> Mapping[str, np.ndarray]:
        """One grey picture."""
        return {'grey': np.full((4, 6, 3), 128, np.uint8)}


def truth(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [B, 2] and greatest distance from it [B]."""
    mean = points.mean(1)
    return mean, (points - mean[:, None]).norm(dim=2).amax(1)


TASKS['toy'] = ToySettings


def commands(words: Sequence[str]) -> list[list[str]]:
    """The words between each `then`."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == 'then':
            found.append([])
        else:
            found[-1].append(word)
    return found


if __name__ == '__main__':
    with joined_processes('cpu'):
        for words in commands(sys.argv[1:]):
            if code := main(words):
                sys.exit(code)

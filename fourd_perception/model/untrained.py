"""Networks with weights drawn from a seed: for tests, demonstrations and measurements.

What constructors start from hides mistakes (layer scales of 0.01, gates and tokens of zero), so
every tensor is drawn: each part of the network shows in what comes out.
"""

from __future__ import annotations

from dataclasses import replace
import math

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.checkpoints import expected_shapes, network_of
from fourd_perception.model.heads.flow import FlowModule
from fourd_perception.model.network import Network
from fourd_perception.model.presets import NetworkConfig
from fourd_perception.model.small.config import PATCH, SmallConfig
from fourd_perception.model.small.network import FourdSmall, Identifiers
import torch

# Standard deviation of logarithms and logits in the maps, and of the poses, radians or units.
MAP_SPREAD = 0.7
POSE_SPREAD = 0.1


def untrained_network(config: NetworkConfig, seed: int) -> Network:
    """A network on the CPU whose every weight is drawn; torch's own random state is left alone.

    The last layers are scaled so that maps vary by a factor of two or so and cameras look ahead
    with a field of view of about one radian.
    """
    generator = torch.Generator().manual_seed(seed)
    network = network_of(config, _tensors(config, seed, generator))
    _settle(network, generator)
    return network


def untrained_small(config: SmallConfig, seed: int) -> FourdSmall:
    """The same for networks of the family of `fourd-small`."""
    generator = torch.Generator().manual_seed(seed)
    network = network_of(config, _tensors(config, seed, generator))
    _settle_small(network, generator)
    return network


def _tensors(
    config: NetworkConfig | SmallConfig, seed: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    tensors = {
        name: _drawn(name, shape, generator)
        for name, shape in expected_shapes(replace(config, flow=None)).items()
    }
    if config.flow is not None:  # what it starts from lets it follow its fixed descriptor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flow = FlowModule(config.flow).state_dict()
        tensors |= {f'flow_module.{name}': tensor for name, tensor in flow.items()}
    return tensors


def _drawn(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    values = torch.empty(shape)
    kind = name.rpartition('.')[2]
    if kind == 'gamma':
        return values.uniform_(0.5, 1.5, generator=generator)
    if kind == 'weight' and len(shape) == 1:  # of a norm
        return values.normal_(1.0, 0.2, generator=generator)
    if kind.startswith('bias'):
        return values.normal_(0.0, 0.05, generator=generator)
    if kind.startswith('weight'):
        bound = shape[1:].numel() ** -0.5
        return values.uniform_(-bound, bound, generator=generator)
    return values.normal_(0.0, 0.5, generator=generator)  # tokens, positions, gates


@torch.no_grad()
def _settle(network: Network, generator: torch.Generator) -> None:
    """Scale the last layer of every head by what it answers to noise."""
    side = 4 * network.config.trunk.patch
    tables = network.tables(side, side)
    images = torch.rand(1, 2, 3, side, side, generator=generator)
    features = network.trunk(network.encode(images, tables), CellLayout.sequence(2), tables)
    for name, head in network.dense_head.items():
        factor = MAP_SPREAD / network.dense(name, features, tables).std()
        for parameter in head.get_submodule('scratch.output_conv2.2').parameters():
            parameter.mul_(factor)
    if network.config.camera is not None:
        camera = network.spatial_head
        camera.pose_branch.fc2.weight *= POSE_SPREAD / camera.iterations
        camera.pose_branch.fc2.bias[:6] *= POSE_SPREAD
        # Added up over the refinements: quaternion (0, 0, 0, 1), both fields of view 1 radian.
        camera.pose_branch.fc2.bias[6:] = 1.0 / camera.iterations


@torch.no_grad()
def _settle_small(network: FourdSmall, generator: torch.Generator) -> None:
    side = 4 * PATCH
    layout = CellLayout.sequence(2)
    tables, plan = network.tables(side, side), network.plan(layout)
    images = torch.rand(1, 2, 3, side, side, generator=generator)
    frames = network.encode(images, tables)
    unknown = Identifiers(torch.full((1, 2, 3, 3), torch.nan))
    decoded = network.decode(network.trunk(frames.tokens, plan, tables, unknown), frames)
    network.decoder.output.weight.mul_(MAP_SPREAD / decoded.log_depth.std())
    head = network.camera_head
    for branch in (head.within, head.between):
        branch.fc2.weight.mul_(POSE_SPREAD)
        branch.fc2.bias.mul_(POSE_SPREAD)
    head.field.fc2.weight.mul_(POSE_SPREAD)
    head.field.fc2.bias.fill_(math.log(1 / (math.pi - 1)))  # both fields of view 1 radian

"""Recomputing blocks in the backward pass keeps less and changes no number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Network
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.untrained import untrained_network
from fourd_perception.training.averaging import averaged_copy
from fourd_perception.training.objective import blocks, recompute_blocks
import torch


@contextmanager
def counted() -> Iterator[list[int]]:
    """Bytes that are kept for the backward pass."""
    kept = [0]

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept[0] += tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield kept


def gradients(network: Network) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients of depth and cameras of two frames, and the bytes that were kept for them."""
    tables, layout = network.tables(56, 42), CellLayout.sequence(2)
    images = torch.rand(1, 2, 3, 56, 42, generator=torch.Generator().manual_seed(0))
    network.zero_grad()
    patches = network.encode(images, tables)
    with counted() as kept:
        features = network.trunk(patches, layout, tables)
    loss = network.depth(features, tables)[0].mean() + network.cameras(features)[-1].square().sum()
    loss.backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found, kept[0]


def test_gradients_are_the_same_and_far_less_is_kept():
    network = untrained_network(PRESETS['tiny'], 0).train().requires_grad_(True)
    assert len(blocks(network)) > 2 * network.config.trunk.depth
    plain, kept = gradients(network)
    recompute_blocks(network)
    again, kept_then = gradients(network)
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert kept_then < 0.2 * kept


def test_a_copy_has_blocks_of_its_own():
    network = untrained_network(PRESETS['tiny'], 0).train().requires_grad_(True)
    recompute_blocks(network)
    copy = averaged_copy(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(p.any() for b in blocks(copy) for n, p in b.named_parameters() if 'mlp' in n)
    tables = copy.tables(28, 28)
    with torch.no_grad():
        patches = copy.encode(torch.ones(1, 1, 3, 28, 28), tables)
        assert copy.depth(copy.trunk(patches, CellLayout.sequence(1), tables), tables)[0].std() > 0

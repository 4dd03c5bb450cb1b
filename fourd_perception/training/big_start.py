"""Where the training of a VGGT or 4D-VGGT starts: drawn or published weights (B.7, B.12)."""

from __future__ import annotations

from fourd_perception.model.checkpoint_convert import fourd_vggt
from fourd_perception.model.checkpoint_files import listed
from fourd_perception.model.checkpoints import open_checkpoint
from fourd_perception.model.network import Network
from fourd_perception.model.presets import NetworkConfig
from fourd_perception.model.public_checkpoints import local_file
import torch

DEPTH, MASK = 'dense_head.depth_head.', 'dense_head.mask_head.'
# Heads that a file may lack, or bring along for nothing.
HEADS = ('spatial_head.', 'dense_head.', 'track_head.', 'flow_module.')


def drawn(config: NetworkConfig) -> Network:
    """A network as constructors draw it, whose cameras look ahead with a field of one radian.

    A field of view below zero would be cut off, and never learn: it starts the same whatever the
    camera sees.
    """
    network = Network(config)
    if config.camera is not None:
        with torch.no_grad():
            last = network.spatial_head.pose_branch.fc2
            last.bias[6:] = 1.0 / config.camera.iterations
            last.weight[7:] = 0.0
    return network


def started(config: NetworkConfig, initial: str) -> Network:
    """A network with the weights of a file, see `BigSettings.initial`.

    Raises ValueError for a file that lacks a tensor of encoder or trunk or has one of another
    shape.
    """
    checkpoint = open_checkpoint(local_file(initial))
    found = {checkpoint.our_name(name): t for name, t in checkpoint.file.tensors.items()}
    if checkpoint.layout == 'vggt' and config.temporal is not None:
        _, found = fourd_vggt(checkpoint)
    network = drawn(config)
    own = network.state_dict()
    if config.mask is not None and not any(name.startswith(MASK) for name in found):
        cloned = {MASK + n.removeprefix(DEPTH): t for n, t in found.items() if n.startswith(DEPTH)}
        found |= {n: t for n, t in cloned.items() if n in own and t.shape == own[n].shape}
    missing = [name for name in own if name not in found and not name.startswith(HEADS)]
    unfit = [n for n, t in found.items() if n in own and t.shape != own[n].shape]
    if missing or unfit:
        raise ValueError(
            f'{initial}: no start for this network: {len(missing)} tensors are missing '
            f'({listed(missing)}), {len(unfit)} of another shape ({listed(unfit)})'
        )
    with torch.no_grad():
        for name, tensor in own.items():
            if name in found:
                tensor.copy_(found[name])
    return network

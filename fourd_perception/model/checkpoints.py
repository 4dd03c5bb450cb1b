"""Checkpoints: opened, compared tensor by tensor with their network, and loaded into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from fourd_perception.model.checkpoint_config import config_of
from fourd_perception.model.checkpoint_files import converted, listed, open_tensors, TensorFile
from fourd_perception.model.checkpoint_layouts import from_vggt, layout_of, to_vggt
from fourd_perception.model.network import Network
from fourd_perception.model.presets import NetworkConfig
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.small.network import FourdSmall
import torch

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}
FLOATS = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file whose tensors are exactly those of the network of `config`.

    layout: `vggt`, `4d-vggt` or `fourd-small`: how the file names its tensors
    """

    file: TensorFile
    layout: str
    config: NetworkConfig | SmallConfig

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold."""
        return sum(tensor.numel() for tensor in self.file.tensors.values())

    def our_name(self, key: str) -> str:
        """Our name of a tensor of the file."""
        return from_vggt(key) if self.layout == 'vggt' else key


def open_checkpoint(
    path: Path,
    config: NetworkConfig | SmallConfig | None = None,
    tracker_fixed: bool | None = None,
) -> Checkpoint:
    """Open a checkpoint and compare it with its network, reading no tensor.

    config:        instead of what `checkpoint_config` finds
    tracker_fixed: see `checkpoint_config`
    Raises ValueError that lists every missing, unexpected, mis-shaped and mistyped tensor, cut
    after a few.
    """
    file = open_tensors(path)
    layout = layout_of(file.tensors)
    if config is None:
        config = config_of(file, tracker_fixed)
    checkpoint = Checkpoint(file, layout, config)
    _compare(checkpoint)
    return checkpoint


def load_network(
    path: Path,
    device: str | torch.device = 'cpu',
    dtype: torch.dtype | None = None,
    config: NetworkConfig | None = None,
    tracker_fixed: bool | None = None,
) -> Network:
    """The VGGT or 4D-VGGT of a checkpoint; ValueError for another one, else as `load_any`."""
    network = load_any(path, device, dtype, config, tracker_fixed)
    if not isinstance(network, Network):
        raise ValueError(f'{path}: holds a fourd-small; give weights of a VGGT or 4D-VGGT')
    return network


def load_any(
    path: Path,
    device: str | torch.device = 'cpu',
    dtype: torch.dtype | None = None,
    config: NetworkConfig | SmallConfig | None = None,
    tracker_fixed: bool | None = None,
) -> Network | FourdSmall:
    """The network of a checkpoint, ready to infer.

    dtype: of all parameters, float32 or bfloat16; None keeps the file's
    The weights exist once: the network is built without memory and takes over the file's tensors,
    mapped where they are used as they are (the file must then stay as it is), else converted one
    after the other. Raises as `open_checkpoint`.
    """
    checkpoint = open_checkpoint(path, config, tracker_fixed)
    device = torch.device(device)
    tensors = {
        checkpoint.our_name(name): tensor
        for name, tensor in converted(checkpoint.file, dtype, device)
    }
    return network_of(checkpoint.config, tensors).to(device)


@overload
def network_of(config: NetworkConfig, tensors: Mapping[str, torch.Tensor]) -> Network: ...
@overload
def network_of(config: SmallConfig, tensors: Mapping[str, torch.Tensor]) -> FourdSmall: ...
def network_of(
    config: NetworkConfig | SmallConfig, tensors: Mapping[str, torch.Tensor]
) -> Network | FourdSmall:
    """A network in inference mode that owns exactly these tensors (our names)."""
    network = _without_memory(config)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def expected_shapes(config: NetworkConfig | SmallConfig) -> dict[str, torch.Size]:
    """Names (ours) and shapes of all tensors that a network of this configuration stores."""
    return {name: tensor.shape for name, tensor in _without_memory(config).state_dict().items()}


def _without_memory(config: NetworkConfig | SmallConfig) -> Network | FourdSmall:
    with torch.device('meta'):
        return FourdSmall(config) if isinstance(config, SmallConfig) else Network(config)


def _compare(checkpoint: Checkpoint) -> None:
    named = to_vggt if checkpoint.layout == 'vggt' else str
    expected = {named(name): s for name, s in expected_shapes(checkpoint.config).items()}
    found = checkpoint.file.tensors
    faults = {
        'missing': sorted(expected.keys() - found.keys()),
        'unexpected': sorted(found.keys() - expected.keys()),
        'mis-shaped': [
            f'{name} {list(found[name].shape)} instead of {list(shape)}'
            for name, shape in expected.items()
            if name in found and found[name].shape != shape
        ],
        'mistyped': [f'{name} {t.dtype}' for name, t in found.items() if t.dtype not in FLOATS],
    }
    said = [f'{len(names)} {kind} ({listed(names)})' for kind, names in faults.items() if names]
    if said:
        raise ValueError(
            f'{checkpoint.file.path}: {len(found)} tensors of the layout {checkpoint.layout} do '
            f'not fit its network of {len(expected)}: {"; ".join(said)}. A network of other sizes '
            'than a published one needs its config.json beside the file'
        )

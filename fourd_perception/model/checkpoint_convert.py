"""Checkpoints rewritten: another type, another container, or a VGGT made into a 4D-VGGT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_files import write_safetensors
from fourd_perception.model.checkpoint_layouts import initialise_from_vggt
from fourd_perception.model.checkpoints import Checkpoint
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.fusion import SpatiotemporalDenseFusion
from fourd_perception.model.presets import NetworkConfig
import torch

FUSION_SEED = 0


def convert(
    checkpoint: Checkpoint,
    path: Path,
    dtype: torch.dtype | None = None,
    to_fourd_vggt: bool = False,
    licence: str = '',
) -> None:
    """Write a checkpoint as safetensors with its configuration inside.

    dtype:         of all tensors; None keeps them
    to_fourd_vggt: make a VGGT into a 4D-VGGT whose outputs are VGGT's (`fourd_vggt`)
    licence:       of the weights, written into the file
    Names are the source's, or ours for a network made into a 4D-VGGT. Raises ValueError for a
    target that is no .safetensors file or a source that is no VGGT, FileExistsError.
    """
    if path.suffix != '.safetensors':
        raise ValueError(f'{path}: conversions are written as .safetensors')
    config, tensors = checkpoint.config, dict(checkpoint.file.tensors)
    if to_fourd_vggt:
        config, tensors = fourd_vggt(checkpoint)
    metadata = {CONFIG_KEY: config_to_json(config), 'source': checkpoint.file.path.name}
    if licence:
        metadata['licence'] = licence
    write_safetensors(path, tensors, metadata, dtype)


def fourd_vggt(checkpoint: Checkpoint) -> tuple[NetworkConfig, dict[str, torch.Tensor]]:
    """Configuration and tensors (our names) of the 4D-VGGT that a VGGT starts as (B.12).

    Both branches start from VGGT's blocks; time biases and gates are zero, so that depth, points
    and cameras are VGGT's to the last bit. A track head is kept; it reads the temporal taps then.
    """
    config = checkpoint.config
    if not isinstance(config, NetworkConfig) or checkpoint.layout != 'vggt' or config.temporal:
        raise ValueError(f'{checkpoint.file.path}: only a VGGT can be made into a 4D-VGGT')
    config = replace(config, temporal='window_attention')
    tensors = initialise_from_vggt(
        {checkpoint.our_name(name): t for name, t in checkpoint.file.tensors.items()}
    )
    dtype = next(iter(tensors.values())).dtype
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FUSION_SEED)
        fusion = SpatiotemporalDenseFusion(2 * config.trunk.dim, config.trunk.taps)
    for name, tensor in fusion.state_dict().items():
        tensors[f'spatiotemporal_dense_fusion.{name}'] = tensor.to(dtype)
    bias = torch.zeros(config.trunk.heads, config.window, dtype=dtype)
    for block in range(config.trunk.depth):
        tensors[f'cross_time_local_fusion.temporal_blocks.{block}.attn.relative_time_bias'] = bias
    return config, tensors

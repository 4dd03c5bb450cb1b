"""The plain unfused forward of the tests, for a network of ours."""

from __future__ import annotations

from collections.abc import Callable
import importlib.util
from pathlib import Path
from typing import Any

from fourd_perception.model.checkpoint_layouts import to_vggt
from fourd_perception.model.network import Network
from fourd_perception.model.presets import EncoderConfig, NetworkConfig
import torch

PlainForward = Callable[[torch.Tensor], dict[str, torch.Tensor]]
SOURCE = Path(__file__).parents[2] / 'test' / 'model' / 'plain_vggt.py'


def plain_network(config: NetworkConfig, network: Network) -> PlainForward | None:
    """`Plain` of test/model/plain_vggt.py on the network's own tensors.

    None where there is no source tree, and for networks that it cannot be.
    """
    known = config.temporal in (None, 'window_attention') and config.trunk.spatial_mask == 'none'
    if not SOURCE.is_file() or not known or None in (config.camera, config.depth, config.points):
        return None
    spec = importlib.util.spec_from_file_location('plain_vggt', SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    state = network.state_dict()
    if config.temporal is None:
        state = {to_vggt(name): tensor for name, tensor in state.items()}
    return module.Plain(state, _values(config))


def _values(config: NetworkConfig) -> dict[str, Any]:
    """The constructor values that it reads: one object per part for a VGGT, else flat."""
    trunk = config.trunk
    assert config.camera is not None and config.depth is not None
    values: dict[str, Any] = {
        'patch_size': trunk.patch,
        'depth': trunk.depth,
        'num_heads': trunk.heads,
        'rope_freq': trunk.rope_base,
        'aa_block_size': trunk.group,
        'retained_layer_idx': list(trunk.taps),
    }
    vit = None if trunk.encoder is None else _encoder(trunk.encoder, trunk.patch)
    camera = {'trunk_depth': config.camera.depth, 'num_heads': config.camera.heads}
    dense = {'patch_size': trunk.patch, 'pos_embed': config.depth.uv_embedding}
    if config.temporal is None:
        heads = {'camera_head': camera, 'depth_head': dense, 'point_head': dense}
        return {'aggregator': values, 'vit': vit, **heads}
    return values | {
        'cached_layer_indices': list(trunk.taps),
        'window_size': config.window,
        'vit': vit,
        'spatial_head_options': camera,
        'dense_head_options': dense,
    }


def _encoder(encoder: EncoderConfig, patch: int) -> dict[str, Any]:
    return {
        'patch_size': patch,
        'img_size': encoder.image_size,
        'depth': encoder.depth,
        'num_heads': encoder.heads,
    }

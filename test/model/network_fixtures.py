"""Fixture folders of networks: where the references' are, and new ones made like them."""

from __future__ import annotations

import json
from pathlib import Path

from fourd_perception.model.checkpoint_layouts import to_vggt
from fourd_perception.model.checkpoints import expected_shapes
from fourd_perception.model.published_config import network_config
import numpy as np
from plain_vggt import Plain
import pytest
from safetensors.torch import save_file
import torch

GOLDEN = Path(__file__).resolve().parents[3] / 'shared' / 'golden'
NETWORKS = ('vggt_tiny', 'vggt_dino_tiny', 'fourd_vggt/tiny', 'fourd_vggt/deep6')
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f'the fixtures of the reference networks are not at {GOLDEN}'
)

TRUNK = {
    'patch_size': 14,
    'num_register_tokens': 4,
    'patch_embed': 'conv',
    'qkv_bias': True,
    'proj_bias': True,
    'ffn_bias': True,
    'qk_norm': True,
    'rope_freq': 100,
    'init_values': 0.01,
    'img_size': 70,
}
VIT = {k: v for k, v in TRUNK.items() if k not in ('patch_embed', 'rope_freq')} | {
    'qk_norm': False,
    'interpolate_antialias': True,
    'interpolate_offset': 0.0,
}


def vggt_values(
    width: int, heads: int, depth: int, group: int, taps: list[int], vit: dict | None = None
) -> dict:
    """Constructor values of a VGGT in the published form."""
    trunk = TRUNK | {
        'embed_dim': width,
        'num_heads': heads,
        'depth': depth,
        'aa_block_size': group,
        'mlp_ratio': 3.0,
        'retained_layer_idx': taps,
    }
    dense = {'features': 24, 'out_channels': [8, 4, 12, 16], 'intermediate_layer_idx': taps}
    return {
        'aggregator': trunk,
        'camera_head': {'trunk_depth': 3, 'num_heads': 2, 'mlp_ratio': 2},
        'depth_head': dense,
        'point_head': dense,
    } | ({} if vit is None else {'vit': VIT | vit})


def fourd_values(
    width: int, heads: int, depth: int, group: int, taps: list[int], window: int
) -> dict:
    """Constructor values of a 4D-VGGT in the published form."""
    return TRUNK | {
        'embed_dim': width,
        'num_heads': heads,
        'depth': depth,
        'aa_block_size': group,
        'mlp_ratio': 2.0,
        'cached_layer_indices': taps,
        'window_size': window,
        'profile': '4d-vggt-geometry-v1',
        'enable_spatial': True,
        'enable_point': True,
        'enable_depth': True,
        'enable_cross_time': True,
        'enable_dense_fusion': True,
        'spatial_head_options': {'trunk_depth': 2, 'num_heads': 8},
        'dense_head_options': {'features': 8, 'out_channels': [4, 8, 12, 8]},
    }


def random_state(values: dict, seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors under published names, none of them as initialised: that would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in expected_shapes(network_config(values)).items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith('gamma'):
            tensor = 0.5 + torch.rand(shape, generator=generator)
        elif 'token' in name and 'norm' not in name or 'pos_embed' in name or 'alpha' in name:
            tensor = 0.5 * noise
        elif name.endswith('relative_time_bias'):
            tensor = noise
        elif 'norm' in name.split('.')[-2] and name.endswith('weight'):
            tensor = 1 + 0.2 * noise
        elif noise.ndim < 2:
            tensor = 0.05 * noise
        else:
            tensor = noise / noise[0].numel() ** 0.5
        state[to_vggt(name) if 'aggregator' in values else name] = tensor
    return state


def write_fixture(folder: Path, values: dict, cases: dict[str, tuple[int, ...]]) -> None:
    """A folder as the references': cases by name with (batch, frames, height, width)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps(values))
    state = random_state(values)
    save_file(state, folder / 'weights.safetensors')
    plain = Plain({name: tensor.double() for name, tensor in state.items()}, values)
    generator = torch.Generator().manual_seed(1)
    for name, (batch, frames, height, width) in cases.items():
        size = (batch, frames, 3, height, width)
        images = torch.randint(0, 256, size, generator=generator) / 255
        with torch.no_grad():
            answers = plain(images.double())
        arrays = {key: value.float().numpy() for key, value in answers.items()}
        np.savez(folder / f'{name}.npz', images=images.numpy(), **arrays)

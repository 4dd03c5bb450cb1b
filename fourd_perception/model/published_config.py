"""The constructor values that published checkpoints carry, as our configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fourd_perception.model.presets import (
    CameraHeadConfig,
    DenseHeadConfig,
    EncoderConfig,
    NetworkConfig,
    TrackHeadConfig,
    TrunkConfig,
)

Values = Mapping[str, Any]


# DINOv2 ViT-L/14 with registers, as its constructor takes it.
PUBLISHED_ENCODER = {
    'embed_dim': 1024,
    'depth': 24,
    'num_heads': 16,
    'mlp_ratio': 4.0,
    'num_register_tokens': 4,
    'init_values': 1.0,
    'qkv_bias': True,
    'proj_bias': True,
    'ffn_bias': True,
}
# What published networks never vary, wherever it is named.
ALWAYS = {
    'aa_order': ['frame', 'global'],
    'pose_encoding_type': 'absT_quaR_FoV',
    'trans_act': 'linear',
    'quat_act': 'linear',
    'fl_act': 'relu',
    'conf_activation': 'expp1',
    'interpolate_antialias': True,
    'interpolate_offset': 0.0,
    'ffn_layer': 'mlp',
    'use_spaceatt': True,
    'predict_conf': True,
    'enable_dense_fusion': True,
    'enable_cross_time': True,
}


def network_config(values: Values) -> NetworkConfig:
    """Configuration of a VGGT (one object per part) or of a 4D-VGGT (flat), told by its keys.

    Raises ValueError that names a value which no network here has, or one that is missing.
    """
    _check_constants(values)
    try:
        return _vggt(values) if 'aggregator' in values else _fourd_vggt(values)
    except KeyError as error:
        raise ValueError(f'the configuration lacks {error.args[0]!r}') from None


def _check_constants(values: Values) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping):
            _check_constants(value)
        elif name in ALWAYS and value != ALWAYS[name]:
            raise ValueError(
                f'the configuration has {name} = {value!r}; networks here have {ALWAYS[name]!r}'
            )


def _trunk(values: Values, taps: list[int], encoder: Values | None) -> TrunkConfig:
    return TrunkConfig(
        dim=values['embed_dim'],
        depth=values['depth'],
        heads=values['num_heads'],
        patch=values['patch_size'],
        mlp_ratio=values['mlp_ratio'],
        registers=values['num_register_tokens'],
        encoder=None if encoder is None else _encoder(encoder),
        group=values['aa_block_size'],
        qkv_bias=values['qkv_bias'],
        proj_bias=values['proj_bias'],
        ffn_bias=values['ffn_bias'],
        qk_norm=values['qk_norm'],
        rope_base=values['rope_freq'],
        layer_scale=values['init_values'],
        taps=tuple(taps),
    )


def _encoder(values: Values) -> EncoderConfig:
    return EncoderConfig(
        dim=values['embed_dim'],
        depth=values['depth'],
        heads=values['num_heads'],
        image_size=values['img_size'],
        mlp_ratio=values['mlp_ratio'],
        registers=values['num_register_tokens'],
        layer_scale=values['init_values'],
        qkv_bias=values['qkv_bias'],
        proj_bias=values['proj_bias'],
        ffn_bias=values['ffn_bias'],
    )


def _camera(values: Values) -> CameraHeadConfig:
    default = CameraHeadConfig()
    return CameraHeadConfig(
        depth=values.get('trunk_depth', default.depth),
        heads=values.get('num_heads', default.heads),
        mlp_ratio=values.get('mlp_ratio', default.mlp_ratio),
        layer_scale=values.get('init_values', default.layer_scale),
    )


def _dense(values: Values) -> DenseHeadConfig:
    default = DenseHeadConfig()
    return DenseHeadConfig(
        features=values.get('features', default.features),
        channels=tuple(values.get('out_channels', default.channels)),
        uv_embedding=values.get('pos_embed', default.uv_embedding),
    )


def _tracks(values: Values) -> TrackHeadConfig:
    tracker = values['tracker']
    return TrackHeadConfig(
        dense=_dense(values['feature_extractor']),
        stride=tracker['stride'],
        levels=tracker['corr_levels'],
        radius=tracker['corr_radius'],
        latent=tracker['latent_dim'],
        hidden=tracker['hidden_size'],
        depth=tracker['depth'],
        max_scale=tracker['max_scale'],
        iterations=values['iters'],
    )


def _vggt(values: Values) -> NetworkConfig:
    camera, tracks = values.get('camera_head'), values.get('track_head')
    depth, points = values.get('depth_head'), values.get('point_head')
    trunk = values['aggregator']
    encoder = values.get('vit')
    if encoder is None and trunk['patch_embed'] != 'conv':
        encoder = PUBLISHED_ENCODER | {'img_size': trunk['img_size']}
    return NetworkConfig(
        trunk=_trunk(trunk, _taps(values, trunk['retained_layer_idx']), encoder),
        camera=None if camera is None else _camera(camera),
        tracks=None if tracks is None else _tracks(tracks),
        depth=None if depth is None else _dense(depth),
        points=None if points is None else _dense(points),
    )


def _taps(heads: Values, kept: list[int]) -> list[int]:
    """Blocks that the dense heads read: as they say themselves, else all that the trunk keeps."""
    said = [
        head['intermediate_layer_idx']
        for head in heads.values()
        if isinstance(head, Mapping) and 'intermediate_layer_idx' in head
    ]
    if any(taps != said[0] for taps in said):
        raise ValueError(
            f'the dense heads read different blocks: {said}; they share one list here'
        )
    return said[0] if said else kept


def _fourd_vggt(values: Values) -> NetworkConfig:
    encoder = None
    if values['patch_embed'] != 'conv':
        encoder = PUBLISHED_ENCODER | {'img_size': values['img_size']}
    dense = _dense(values['dense_head_options'] or {})
    return NetworkConfig(
        trunk=_trunk(values, _taps(values, values['cached_layer_indices']), encoder),
        camera=_camera(values['spatial_head_options'] or {}) if values['enable_spatial'] else None,
        depth=dense if values['enable_depth'] else None,
        points=dense if values['enable_point'] else None,
        temporal='window_attention',
        window=values['window_size'],
    )

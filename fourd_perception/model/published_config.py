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


def network_config(values: Values) -> NetworkConfig:
    """Configuration of a VGGT (one object per part) or of a 4D-VGGT (flat), told by its keys."""
    if 'aggregator' in values:
        return _vggt(values)
    return _fourd_vggt(values)


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
    heads = {
        name: None if values.get(key) is None else _dense(values[key])
        for name, key in (('depth', 'depth_head'), ('points', 'point_head'))
    }
    camera, tracks = values.get('camera_head'), values.get('track_head')
    trunk = values['aggregator']
    return NetworkConfig(
        trunk=_trunk(trunk, trunk['retained_layer_idx'], values.get('vit')),
        camera=None if camera is None else _camera(camera),
        tracks=None if tracks is None else _tracks(tracks),
        **heads,
    )


def _fourd_vggt(values: Values) -> NetworkConfig:
    encoder = None
    if values['patch_embed'] != 'conv':
        encoder = EncoderConfig(image_size=values['img_size'])
    dense = _dense(values['dense_head_options'])
    return NetworkConfig(
        trunk=_trunk(values, values['cached_layer_indices'], None if encoder is None else {}),
        camera=_camera(values['spatial_head_options']) if values['enable_spatial'] else None,
        depth=dense if values['enable_depth'] else None,
        points=dense if values['enable_point'] else None,
        temporal='window_attention' if values['enable_cross_time'] else None,
        window=values['window_size'],
    )

"""Names and shapes of the published checkpoints, spelt out from the specification's patterns."""

from __future__ import annotations

import re

Shapes = dict[str, tuple[int, ...]]


def spelt(patterns: str, prefix: str = '') -> Shapes:
    """`a.{b,c}.weight 4 5 | a.bias 4`: every alternative of the braces, with its shape."""
    shapes: Shapes = {}
    for entry in re.split(r'[|\n]', patterns):
        if entry.strip():
            name, *numbers = entry.split()
            for full in alternatives(name):
                shapes[prefix + full] = tuple(int(n) for n in numbers)
    return shapes


def alternatives(name: str) -> list[str]:
    match = re.search(r'\{(.*?)\}', name)
    if match is None:
        return [name]
    choices = match[1].split(',')
    return [full for c in choices for full in alternatives(name.replace(match[0], c, 1))]


def linear(name: str, out: int, width: int) -> str:
    return f'{name}.weight {out} {width} | {name}.bias {out}\n'


def block(width: int, hidden: int, head: int = 0) -> str:
    """A transformer block; with q/k norms of `head` channels where that is not 0."""
    text = f'{{norm1,norm2}}.{{weight,bias}} {width}\n{{ls1,ls2}}.gamma {width}\n'
    text += linear('attn.qkv', 3 * width, width) + linear('attn.proj', width, width)
    text += linear('mlp.fc1', hidden, width) + linear('mlp.fc2', width, hidden)
    return text + (f'attn.{{q_norm,k_norm}}.{{weight,bias}} {head}\n' if head else '')


def blocks(prefix: str, count: int, text: str) -> Shapes:
    return {k: s for i in range(count) for k, s in spelt(text, f'{prefix}{i}.').items()}


ENCODER = """
cls_token 1 1 1024 | pos_embed 1 1370 1024 | register_tokens 1 4 1024 | mask_token 1 1024
patch_embed.proj.weight 1024 3 14 14 | patch_embed.proj.bias 1024 | norm.{weight,bias} 1024
"""
CAMERA = (
    'empty_pose_tokens 1 1 9\n{token_norm,trunk_norm}.{weight,bias} 2048\n'
    + linear('embed_pose', 2048, 9)
    + linear('poseLN_modulation.1', 6144, 2048)
    + linear('pose_branch.fc1', 1024, 2048)
    + linear('pose_branch.fc2', 9, 1024)
)


def trunk(prefix: str) -> Shapes:
    """VGGT's aggregator."""
    shapes = spelt('camera_token 1 2 1 1024 | register_token 1 2 4 1024', prefix)
    shapes |= spelt(ENCODER, prefix + 'patch_embed.')
    shapes |= blocks(prefix + 'patch_embed.blocks.', 24, block(1024, 4096))
    for kind in ('frame_blocks', 'global_blocks'):
        shapes |= blocks(f'{prefix}{kind}.', 24, block(1024, 4096, head=64))
    return shapes


def camera(prefix: str) -> Shapes:
    return spelt(CAMERA, prefix) | blocks(prefix + 'trunk.', 4, block(2048, 8192))


def dpt(prefix: str, features: int, out: int | None) -> Shapes:
    """A dense head; without its last convolutions where `out` is None."""
    f, half = features, features // 2 if out else features
    text = 'norm.{weight,bias} 2048\n'
    for i, channels in enumerate((256, 512, 1024, 1024)):
        text += f'projects.{i}.weight {channels} 2048 1 1 | projects.{i}.bias {channels}\n'
        text += f'scratch.layer{i + 1}_rn.weight {f} {channels} 3 3\n'
    for i, channels, kernel in ((0, 256, 4), (1, 512, 2), (3, 1024, 3)):
        text += f'resize_layers.{i}.weight {channels} {channels} {kernel} {kernel}\n'
        text += f'resize_layers.{i}.bias {channels}\n'
    units = (
        'scratch.refinenet{1,2,3}.{resConfUnit1,resConfUnit2}',
        'scratch.refinenet4.resConfUnit2',
    )
    for unit in units:
        text += f'{unit}.{{conv1,conv2}}.weight {f} {f} 3 3 | {unit}.{{conv1,conv2}}.bias {f}\n'
    text += f'scratch.refinenet{{1,2,3,4}}.out_conv.weight {f} {f} 1 1\n'
    text += f'scratch.refinenet{{1,2,3,4}}.out_conv.bias {f}\n'
    text += f'scratch.output_conv1.weight {half} {f} 3 3 | scratch.output_conv1.bias {half}\n'
    if out:
        text += f'scratch.output_conv2.0.weight 32 {half} 3 3 | scratch.output_conv2.0.bias 32\n'
        text += f'scratch.output_conv2.2.weight {out} 32 1 1 | scratch.output_conv2.2.bias {out}\n'
    return spelt(text, prefix)


def tracker(prefix: str) -> Shapes:
    text = 'query_ref_token 1 2 388\n{fmap_norm,ffeat_norm}.{weight,bias} 128\n'
    for name, out, width in (
        ('corr_mlp.fc1', 384, 567),
        ('corr_mlp.fc2', 128, 384),
        ('ffeat_updater.0', 128, 128),
        ('vis_predictor.0', 1, 128),
        ('conf_predictor.0', 1, 128),
        ('updateformer.input_transform', 384, 388),
        ('updateformer.flow_head', 130, 384),
    ):
        text += linear(name, out, width)
    text += 'updateformer.virual_tracks 1 64 1 384\nupdateformer.input_norm.{weight,bias} 388\n'
    text += 'updateformer.output_norm.{weight,bias} 384\n'
    shapes = spelt(text, prefix)
    for kind in ('time', 'space_virtual', 'space_point2virtual', 'space_virtual2point'):
        crosses = '2' in kind
        a = 'cross_attn' if crosses else 'attn'
        text = '{norm1,norm2}.{weight,bias} 384\n'
        text += 'norm_context.{weight,bias} 384\n' if crosses else ''
        text += f'{a}.in_proj_weight 1152 384 | {a}.in_proj_bias 1152\n'
        text += linear(f'{a}.out_proj', 384, 384)
        text += linear('mlp.fc1', 1536, 384) + linear('mlp.fc2', 384, 1536)
        shapes |= blocks(f'{prefix}updateformer.{kind}_blocks.', 6, text)
    return shapes


def vggt() -> Shapes:
    return (
        trunk('aggregator.')
        | camera('camera_head.')
        | dpt('point_head.', 256, 4)
        | dpt('depth_head.', 256, 2)
        | dpt('track_head.feature_extractor.', 128, None)
        | tracker('track_head.tracker.')
    )


def fourd_vggt() -> Shapes:
    time = 'cross_time_local_fusion.'
    bias = 'attn.relative_time_bias 16 5\n'
    return (
        trunk('cross_view_global_fusion.')
        | blocks(time + 'frame_blocks.', 24, block(1024, 4096, head=64))
        | blocks(time + 'temporal_blocks.', 24, block(1024, 4096, head=64) + bias)
        | spelt(
            'norm.{weight,bias} 4096 | alpha 4\n' + linear('projection', 2048, 4096),
            'spatiotemporal_dense_fusion.',
        )
        | camera('spatial_head.')
        | dpt('dense_head.depth_head.', 256, 2)
        | dpt('dense_head.point_head.', 256, 4)
    )

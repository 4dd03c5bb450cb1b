"""VGGT and 4D-VGGT once more: plain, unfused, slow, straight from the specification.

A function of published tensors and published constructor values. Every attention writes out its
matrix of weights, every frame of a window is looked up by itself, nothing is shared between
branches, and all of it runs in the type of the tensors: in float64 to say what is right, in
float32 to say what fused kernels gain. It shares no code with the package.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
import torch.nn.functional as F

State = dict[str, Tensor]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Part:
    """The tensors under a prefix, by what follows it."""

    def __init__(self, state: State, prefix: str = '') -> None:
        self.state, self.prefix = state, prefix

    def __getitem__(self, name: str) -> Tensor:
        return self.state[self.prefix + name]

    def __truediv__(self, name: str | int) -> Part:
        return Part(self.state, f'{self.prefix}{name}.')

    def has(self, name: str) -> bool:
        return any(key.startswith(self.prefix + name) for key in self.state)


def linear(p: Part, x: Tensor) -> Tensor:
    y = x @ p['weight'].T
    return y + p['bias'] if p.has('bias') else y


def norm(p: Part, x: Tensor, eps: float = 1e-5) -> Tensor:
    return standardised(x, eps) * p['weight'] + p['bias']


def standardised(x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def mlp(p: Part, x: Tensor) -> Tensor:
    return linear(p / 'fc2', gelu(linear(p / 'fc1', x)))


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """Softmax attention of [..., N, d] to [..., M, d], the matrix [..., N, M] written out."""
    logits = q @ k.mT / math.sqrt(q.shape[-1]) + bias
    return logits.softmax(-1) @ v


def rotate(x: Tensor, positions: Tensor, base: float) -> Tensor:
    """Turn heads [..., P, d] by positions [P, 2] = (row, column)."""
    quarter = x.shape[-1] // 4
    frequencies = base ** (-torch.arange(quarter, dtype=x.dtype) / quarter)
    out = []
    for axis, half in enumerate(x.split(2 * quarter, dim=-1)):
        angle = positions[:, axis : axis + 1].to(x.dtype) * frequencies
        a, b = half[..., :quarter], half[..., quarter:]
        out += [a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()]
    return torch.cat(out, dim=-1)


def heads_of(p: Part, x: Tensor, heads: int, positions: Tensor | None, base: float):
    """Queries, keys and values [..., heads, N, d] of tokens [..., N, C]."""
    q, k, v = (
        t.unflatten(-1, (heads, -1)).transpose(-2, -3) for t in linear(p / 'qkv', x).chunk(3, -1)
    )
    if p.has('q_norm'):
        q, k = norm(p / 'q_norm', q), norm(p / 'k_norm', k)
    if positions is not None:
        q, k = rotate(q, positions, base), rotate(k, positions, base)
    return q, k, v


def merged(p: Part, x: Tensor) -> Tensor:
    return linear(p / 'proj', x.transpose(-2, -3).flatten(-2))


def block(
    p: Part,
    x: Tensor,
    heads: int,
    positions: Tensor | None = None,
    base: float = 100.0,
    eps: float = 1e-5,
) -> Tensor:
    attention = p / 'attn'
    q, k, v = heads_of(attention, norm(p / 'norm1', x, eps), heads, positions, base)
    x = x + p['ls1.gamma'] * merged(attention, attend(q, k, v))
    return x + p['ls2.gamma'] * mlp(p / 'mlp', norm(p / 'norm2', x, eps))


def window_block(
    p: Part, x: Tensor, heads: int, positions: Tensor, base: float, window: int
) -> Tensor:
    """Tokens [B, S, P, C]: every frame reads its neighbours in time, one frame after the other."""
    attention = p / 'attn'
    q, k, v = heads_of(attention, norm(p / 'norm1', x), heads, positions, base)
    frames, tokens, half = x.shape[1], x.shape[2], window // 2
    read = []
    for s in range(frames):
        offsets = [o for o in range(-half, half + 1) if 0 <= s + o < frames]
        keys = torch.cat([k[:, s + o] for o in offsets], dim=-2)
        values = torch.cat([v[:, s + o] for o in offsets], dim=-2)
        bias = torch.cat(
            [
                attention['relative_time_bias'][:, half + o, None].expand(-1, tokens)
                for o in offsets
            ],
            dim=-1,
        )
        read.append(attend(q[:, s], keys, values, bias[:, None]))
    x = x + p['ls1.gamma'] * merged(attention, torch.stack(read, dim=1))
    return x + p['ls2.gamma'] * mlp(p / 'mlp', norm(p / 'norm2', x))


def dino(p: Part, images: Tensor, values: dict) -> Tensor:
    """Patch tokens [B, N, C] of normalised images [B, 3, H, W]."""
    patch = values['patch_size']
    patches = convolved_patches(p / 'patch_embed', images, patch)
    rows, columns = images.shape[-2] // patch, images.shape[-1] // patch
    table, side = p['pos_embed'], values['img_size'] // patch
    grid = table[:, 1:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    if (rows, columns) != (side, side):
        grid = F.interpolate(
            grid, (rows, columns), mode='bicubic', antialias=True, align_corners=False
        )
    grid = grid.flatten(2).mT.to(patches.dtype)
    count = len(images)
    first = (p['cls_token'] + table[:, :1]).expand(count, -1, -1)
    registers = p['register_tokens'].expand(count, -1, -1)
    x = torch.cat([first, registers, patches + grid], dim=1)
    for i in range(values['depth']):
        x = block(p / 'blocks' / i, x, values['num_heads'], eps=1e-6)
    return norm(p / 'norm', x, 1e-6)[:, 1 + registers.shape[1] :]


def convolved_patches(p: Part, images: Tensor, patch: int) -> Tensor:
    y = F.conv2d(images, p['proj.weight'], p['proj.bias'], stride=patch)
    return y.flatten(2).mT


def dpt(p: Part, taps: list[Tensor], height: int, width: int, values: dict) -> Tensor:
    """Maps [B S, out, H, W] of patch tokens [B S, N, C] of four taps."""
    patch = values.get('patch_size', 14)
    uv = values.get('pos_embed', True)
    size = (height // values.get('down_ratio', 1), width // values.get('down_ratio', 1))
    levels = []
    for i, tap in enumerate(taps):
        x = norm(p / 'norm', tap).mT.unflatten(2, (height // patch, width // patch))
        x = convolution(p / 'projects' / i, x)
        x = x + 0.1 * uv_map(x, width / height) if uv else x
        layer = p / 'resize_layers' / i
        if i < 2:
            stride = 4 // (i + 1)
            x = F.conv_transpose2d(x, layer['weight'], layer['bias'], stride=stride)
        elif i == 3:
            x = F.conv2d(x, layer['weight'], layer['bias'], stride=2, padding=1)
        levels.append(F.conv2d(x, p[f'scratch.layer{i + 1}_rn.weight'], padding=1))
    x = levels[3]
    for i in (4, 3, 2, 1):
        unit = p / 'scratch' / f'refinenet{i}'
        if i < 4:
            x = x + residual(unit / 'resConfUnit1', levels[i - 1])
        x = residual(unit / 'resConfUnit2', x)
        target = levels[i - 2].shape[-2:] if i > 1 else [2 * n for n in x.shape[-2:]]
        x = convolution(unit / 'out_conv', stretched(x, target))
    x = stretched(convolution(p / 'scratch' / 'output_conv1', x), size)
    x = x + 0.1 * uv_map(x, width / height) if uv else x
    if not p.has('scratch.output_conv2'):
        return x
    last = p / 'scratch' / 'output_conv2'
    return convolution(last / 2, convolution(last / 0, x).relu())


def convolution(p: Part, x: Tensor) -> Tensor:
    return F.conv2d(x, p['weight'], p['bias'], padding=p['weight'].shape[-1] // 2)


def residual(p: Part, x: Tensor) -> Tensor:
    return convolution(p / 'conv2', convolution(p / 'conv1', x.relu()).relu()) + x.relu()


def stretched(x: Tensor, size) -> Tensor:
    return F.interpolate(x, tuple(size), mode='bilinear', align_corners=True)


def uv_map(x: Tensor, aspect: float) -> Tensor:
    """Sines and cosines [C, h, w] of where a pixel of x lies on the unit diagonal."""
    channels, height, width = x.shape[1:]
    diagonal = math.hypot(aspect, 1)
    out = torch.zeros(channels, height, width, dtype=torch.float64)
    count = channels // 4
    for axis, (half, n) in enumerate([(aspect / diagonal, width), (1 / diagonal, height)]):
        end = half * (n - 1) / n
        place = torch.linspace(-end, end, n, dtype=torch.float64)
        for j in range(count):
            angle = place * 100 ** (-j / count)
            for k, wave in enumerate([angle.sin(), angle.cos()]):
                row = 2 * count * axis + count * k + j
                out[row] = wave[None] if axis == 0 else wave[:, None]
    return out.to(x.dtype)


def cameras(p: Part, tokens: Tensor, values: dict) -> list[Tensor]:
    """Encodings [B, S, 9] of four refinements from camera tokens [B, S, C]."""
    tokens = norm(p / 'token_norm', tokens)
    pose, out = None, []
    for _ in range(4):
        known = p['empty_pose_tokens'] if pose is None else pose
        condition = F.silu(linear(p / 'embed_pose', known))
        shift, scale, gate = linear(p / 'poseLN_modulation' / 1, condition).chunk(3, -1)
        x = tokens + gate * (standardised(tokens, 1e-6) * (1 + scale) + shift)
        for i in range(values.get('trunk_depth', 4)):
            x = block(p / 'trunk' / i, x, values.get('num_heads', 16))
        delta = mlp(p / 'pose_branch', norm(p / 'trunk_norm', x))
        pose = delta if pose is None else pose + delta
        out.append(torch.cat([pose[..., :7], pose[..., 7:].clamp(min=0)], -1))
    return out


class Plain:
    """A network of tensors under published names and its constructor values (config.json)."""

    def __init__(self, state: State, values: dict) -> None:
        self.root = Part(state)
        self.fourd = 'aggregator' not in values
        self.trunk = values if self.fourd else values['aggregator']
        self.vit = values.get('vit')
        if self.fourd:
            self.view = self.root / 'cross_view_global_fusion'
            self.taps = values['cached_layer_indices']
            heads = {'camera': ('spatial_head', values['spatial_head_options'])}
            for name in ('depth', 'point'):
                heads[name] = (f'dense_head.{name}_head', values['dense_head_options'])
        else:
            self.view = self.root / 'aggregator'
            self.taps = self.trunk['retained_layer_idx']
            heads = {
                n: (f'{n}_head', values.get(f'{n}_head')) for n in ('camera', 'depth', 'point')
            }
        self.heads = heads

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Every output of a fixture for images [B, S, 3, H, W]; tracks are not followed."""
        batch, frames, _, height, width = images.shape
        mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        flat = ((images - mean) / std).flatten(0, 1)
        embed, patch = self.view / 'patch_embed', self.trunk['patch_size']
        if self.vit is None:
            patches = convolved_patches(embed, flat, patch)
        else:
            patches = dino(embed, flat, self.vit)
        tokens = self.with_special(patches.unflatten(0, (batch, frames)))
        special = tokens.shape[2] - patches.shape[1]
        places = [(0, 0)] * special + [
            (y + 1, x + 1) for y in range(height // patch) for x in range(width // patch)
        ]
        spatial, temporal = self.branches(tokens, torch.tensor(places))
        out = {'patch_tokens': patches, 'encoded_tokens': tokens.flatten(0, 1)}
        fused = spatial
        if self.fourd:
            fused = self.fused(spatial, temporal)
            for name, taps in (('spatial', spatial), ('temporal', temporal), ('fused', fused)):
                out |= {f'{name}_tap_{i}': taps[i] for i in self.taps}
        else:
            out |= {f'tap_{i}': spatial[i] for i in self.taps}
        last = spatial[self.trunk['depth'] - 1]
        return out | self.answers(last[:, :, 0], fused, special, height, width)

    def with_special(self, patches: Tensor) -> Tensor:
        """Tokens [B, S, P, C]: slot 0 before the first frame, slot 1 before all others."""
        both = torch.cat([self.view['camera_token'], self.view['register_token']], dim=2)[0]
        batch, frames = patches.shape[:2]
        special = torch.stack([both[0 if s == 0 else 1] for s in range(frames)])
        return torch.cat([special.expand(batch, -1, -1, -1), patches], dim=2)

    def branches(self, tokens: Tensor, positions: Tensor):
        """Taps by index of the spatial and, for a 4D-VGGT, the temporal branch."""
        heads, base = self.trunk['num_heads'], self.trunk['rope_freq']
        frames = tokens.shape[1]

        def frame(p: Part, x: Tensor) -> Tensor:
            return block(p, x, heads, positions, base)

        def together(p: Part, x: Tensor) -> Tensor:
            y = block(p, x.flatten(1, 2), heads, positions.repeat(frames, 1), base)
            return y.view_as(x)

        def along_time(p: Part, x: Tensor) -> Tensor:
            return window_block(p, x, heads, positions, base, self.trunk['window_size'])

        spatial = self.alternated(tokens, self.view, frame, 'global_blocks', together)
        if not self.fourd:
            return spatial, None
        time = self.root / 'cross_time_local_fusion'
        return spatial, self.alternated(tokens, time, frame, 'temporal_blocks', along_time)

    def alternated(self, x: Tensor, p: Part, frame, name: str, second) -> dict[int, Tensor]:
        group, taps = self.trunk['aa_block_size'], {}
        for start in range(0, self.trunk['depth'], group):
            first = []
            for i in range(start, start + group):
                x = frame(p / 'frame_blocks' / i, x)
                first.append(x)
            for i in range(start, start + group):
                x = second(p / name / i, x)
                taps[i] = torch.cat([first[i - start], x], dim=-1)
        return taps

    def fused(self, spatial: dict[int, Tensor], temporal: dict[int, Tensor]) -> dict[int, Tensor]:
        p, out = self.root / 'spatiotemporal_dense_fusion', {}
        for k, i in enumerate(self.taps):
            both = torch.cat([spatial[i], temporal[i]], dim=-1)
            change = linear(p / 'projection', norm(p / 'norm', both))
            out[i] = spatial[i] + p['alpha'][k] * change
        return out

    def answers(
        self, camera_tokens: Tensor, taps: dict[int, Tensor], special: int, height: int, width: int
    ) -> dict[str, Tensor]:
        shape = camera_tokens.shape[:2]
        patches = [taps[i][:, :, special:].flatten(0, 1) for i in self.taps]
        poses = cameras(
            self.root / self.heads['camera'][0], camera_tokens, self.heads['camera'][1]
        )
        raw = {
            name: dpt(self.root / prefix, patches, height, width, values).unflatten(0, shape)
            for name, (prefix, values) in self.heads.items()
            if name != 'camera'
        }
        points = raw['point'][:, :, :3].movedim(2, -1)
        return {
            'pose_enc_list': torch.stack(poses),
            'pose_enc': poses[-1],
            'depth': raw['depth'][:, :, 0, ..., None].exp(),
            'depth_conf': 1 + raw['depth'][:, :, 1].exp(),
            'world_points': points.sign() * (points.abs().exp() - 1),
            'world_points_conf': 1 + raw['point'][:, :, 3].exp(),
        }

"""The DPT head: four taps of the trunk to a map at image size (VGGT A.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fourd_perception.model.presets import DenseHeadConfig
import torch
from torch import nn
import torch.nn.functional as F

UV_WEIGHT = 0.1
HIDDEN = 32


def resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear with aligned corners, the only resize of these heads."""
    return F.interpolate(x, size=size, mode='bilinear', align_corners=True)


def uv_embedding(
    channels: int, rows: int, columns: int, aspect: float, device: torch.device
) -> torch.Tensor:
    """Sine and cosine map [channels, rows, columns] of image positions, in float32 from float64.

    aspect: width / height of the input image; the grid spans the unit diagonal
    """
    diagonal = (aspect**2 + 1) ** 0.5

    def span(half: float, count: int) -> torch.Tensor:
        end = half * (count - 1) / count
        return torch.linspace(-end, end, count, dtype=torch.float64, device=device)

    steps = torch.arange(channels // 4, dtype=torch.float64, device=device)
    frequencies = 100.0 ** (-steps / (channels / 4))

    def bank(positions: torch.Tensor) -> torch.Tensor:
        angles = positions[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)  # [count, channels / 2]

    u = bank(span(aspect / diagonal, columns))[None].expand(rows, -1, -1)
    v = bank(span(1 / diagonal, rows))[:, None].expand(-1, columns, -1)
    return torch.cat([u, v], dim=-1).permute(2, 0, 1).float()


class ResidualUnit(nn.Module):
    """relu(x) + conv(relu(conv(relu(x)))): the skip carries relu(x), as published."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, features, h, w] to the same."""
        x = x.relu()
        return x + self.conv2(self.conv1(x).relu())


class FusionUnit(nn.Module):
    """Add a finer level, refine, resize, project."""

    def __init__(self, features: int, joins: bool) -> None:
        super().__init__()
        if joins:
            self.resConfUnit1 = ResidualUnit(features)
        self.resConfUnit2 = ResidualUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(
        self, x: torch.Tensor, finer: torch.Tensor | None, size: tuple[int, int]
    ) -> torch.Tensor:
        """Coarse map x, with the next finer level added, at `size`."""
        if finer is not None:
            x = x + self.resConfUnit1(finer)
        return self.out_conv(resize(self.resConfUnit2(x), size))


class Scratch(nn.Module):
    """The convolutions of the pyramid, under the published names."""

    def __init__(self, features: int, channels: Sequence[int], out: int | None) -> None:
        super().__init__()
        for level, width in enumerate(channels, 1):
            conv = nn.Conv2d(width, features, 3, padding=1, bias=False)
            self.add_module(f'layer{level}_rn', conv)
            self.add_module(f'refinenet{level}', FusionUnit(features, joins=level < 4))
        narrow = features if out is None else features // 2
        self.output_conv1 = nn.Conv2d(features, narrow, 3, padding=1)
        if out is not None:
            self.output_conv2 = nn.Sequential(
                nn.Conv2d(narrow, HIDDEN, 3, padding=1), nn.ReLU(), nn.Conv2d(HIDDEN, out, 1)
            )


@dataclass(frozen=True, eq=False)
class DenseTables:
    """UV embeddings of one image size: one per pyramid level, and of the output."""

    levels: tuple[torch.Tensor, ...]
    output: torch.Tensor


class DenseHead(nn.Module):
    """Taps to `out` channels at image size, or to features at half of it when `out` is None."""

    def __init__(
        self,
        dim: int,
        taps: Sequence[int],
        patch: int,
        config: DenseHeadConfig,
        out: int | None,
    ) -> None:
        super().__init__()
        self.taps, self.patch, self.config, self.out = tuple(taps), patch, config, out
        a, b, _, d = config.channels
        self.norm = nn.LayerNorm(dim)
        self.projects = nn.ModuleList(nn.Conv2d(dim, width, 1) for width in config.channels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(a, a, 4, stride=4),
                nn.ConvTranspose2d(b, b, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(d, d, 3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch(config.features, config.channels, out)

    def tables(self, height: int, width: int) -> DenseTables | None:
        """UV embeddings for images of this size, or None where the head has none."""
        if not self.config.uv_embedding:
            return None
        device = self.norm.weight.device
        rows, columns, aspect = height // self.patch, width // self.patch, width / height
        levels = tuple(
            uv_embedding(channels, rows, columns, aspect, device)
            for channels in self.config.channels
        )
        narrow = self.scratch.output_conv1.out_channels
        output = uv_embedding(narrow, *self.output_size(height, width), aspect, device)
        return DenseTables(levels, output)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output for images of this size."""
        return (height, width) if self.out is not None else (height // 2, width // 2)

    def forward(
        self,
        taps: Mapping[int, torch.Tensor],
        special: int,
        height: int,
        width: int,
        tables: DenseTables | None,
        chunk: int = 8,
    ) -> torch.Tensor:
        """Maps [B, S, out, H, W] of taps [B, S, P, dim]; `chunk` frames at a time."""
        shape = next(iter(taps.values())).shape[:2]
        frames = [taps[tap][:, :, special:].flatten(0, 1) for tap in self.taps]
        parts = [
            self._frames([f[i : i + chunk] for f in frames], height, width, tables)
            for i in range(0, len(frames[0]), chunk)
        ]
        return torch.cat(parts).unflatten(0, shape)

    def _frames(
        self,
        tokens: Sequence[torch.Tensor],
        height: int,
        width: int,
        tables: DenseTables | None,
    ) -> torch.Tensor:
        grid = (height // self.patch, width // self.patch)
        scratch = self.scratch
        levels = []
        for i, x in enumerate(tokens):
            x = self.norm(x).transpose(1, 2).unflatten(2, grid)
            x = self.projects[i](x)
            if tables is not None:
                x = x + UV_WEIGHT * tables.levels[i]
            x = self.resize_layers[i](x)
            levels.append(scratch.get_submodule(f'layer{i + 1}_rn')(x))
        x, finer = levels[3], None
        for level in (4, 3, 2, 1):
            size = levels[level - 2].shape[-2:] if level > 1 else None
            if size is None:
                size = tuple(2 * n for n in x.shape[-2:])
            finer = None if level == 4 else levels[level - 1]
            x = scratch.get_submodule(f'refinenet{level}')(x, finer, tuple(size))
        x = resize(scratch.output_conv1(x), self.output_size(height, width))
        if tables is not None:
            x = x + UV_WEIGHT * tables.output
        return x if self.out is None else scratch.output_conv2(x)


def positive_and_confidence(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth exp(y) [..., H, W] and confidence 1 + exp(c) of raw [..., 2, H, W]."""
    return raw[..., 0, :, :].exp(), 1 + raw[..., 1, :, :].exp()


def points_and_confidence(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [..., H, W, 3] and confidence [..., H, W] of raw [..., 4, H, W].

    Points are sign(y) expm1(|y|), confidence 1 + exp(c).
    """
    y = raw[..., :3, :, :].movedim(-3, -1)
    return y.sign() * y.abs().expm1(), 1 + raw[..., 3, :, :].exp()

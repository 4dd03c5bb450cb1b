"""The small network: a transformer over the present cells of a view x time grid."""

from __future__ import annotations

from typing import NamedTuple

from fourd_perception.model.attention import AttentionBlock
import torch
from torch import nn
from torch.nn import functional as F

PATCH = 14
DIM = 128
HEADS = 4
LAYERS = 2
DETAIL = 32
DENSE_CHANNELS = 7
POSE_CHANNELS = 8


class RawOutputs(NamedTuple):
    """What the heads say of N cells, before it is given a meaning.

    pose:  [N, 8]: translation (3), quaternion x y z w (4), logit of the diagonal field of view
    dense: [N, 7, H, W]: log depth, log (confidence - 1), mask logit, forward and backward flow
           in patches
    """

    pose: torch.Tensor
    dense: torch.Tensor


class TinyNetwork(nn.Module):
    """Patch embedding, then layers of attention within each frame and over all frames, two heads.

    Only present cells are given, as one list: a missing cell is never attended to. Each token
    knows its place by the sinusoids of its patch column and row and of its cell's view and time
    relative to the reference cell, whose camera token is a different one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, DIM, PATCH, stride=PATCH)
        self.camera_token = nn.Parameter(0.02 * torch.randn(2, DIM))
        self.frame_blocks = nn.ModuleList(AttentionBlock(DIM, HEADS) for _ in range(LAYERS))
        self.global_blocks = nn.ModuleList(AttentionBlock(DIM, HEADS) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(DIM)
        self.pose_head = nn.Sequential(
            nn.Linear(DIM, DIM), nn.GELU(), nn.Linear(DIM, POSE_CHANNELS)
        )
        self.dense_head = DenseHead()

    def forward(self, images: torch.Tensor, cells: torch.Tensor) -> RawOutputs:
        """Read N images [N, 3, H, W], RGB in 0..1, H and W multiples of `PATCH`.

        cells: int [N, 2], (view, time) of each cell minus those of the reference cell
        """
        pixels = 2.0 * images - 1.0
        features = self.patch_embedding(pixels)
        count, _, rows, columns = features.shape
        patches = features.flatten(2).transpose(1, 2) + patch_positions(cells, rows, columns)
        is_reference = (cells == 0).all(dim=1).long()
        tokens = torch.cat([self.camera_token[is_reference][:, None], patches], dim=1)
        for frame_block, global_block in zip(self.frame_blocks, self.global_blocks, strict=True):
            tokens = frame_block(tokens)
            tokens = global_block(tokens.reshape(1, -1, DIM)).view(count, -1, DIM)
        tokens = self.norm(tokens)
        features = tokens[:, 1:].transpose(1, 2).reshape(count, DIM, rows, columns)
        return RawOutputs(self.pose_head(tokens[:, 0]), self.dense_head(features, pixels))


class DenseHead(nn.Module):
    """Patch features [N, C, H/14, W/14] and the image's own detail -> [N, 7, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(DIM, DETAIL, 1)
        self.detail = nn.Conv2d(3, DETAIL, 4, stride=2, padding=1)
        self.refine = nn.Conv2d(DETAIL, DETAIL, 3, padding=1)
        self.output = nn.Conv2d(DETAIL, DENSE_CHANNELS, 3, padding=1)

    def forward(self, features: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Work at half the size of the image, then double it."""
        detail = self.detail(pixels)
        coarse = F.interpolate(self.project(features), size=detail.shape[2:], mode='bilinear')
        refined = F.gelu(self.refine(F.gelu(coarse + detail)))
        return F.interpolate(self.output(refined), size=pixels.shape[2:], mode='bilinear')


def patch_positions(cells: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Positions [N, rows * columns, DIM] of all patches of N cells: column, row, view, time."""
    device = cells.device
    part = DIM // 4
    row = sinusoid(torch.arange(rows, device=device), part)[None, :, None]
    column = sinusoid(torch.arange(columns, device=device), part)[None, None, :]
    view = sinusoid(cells[:, 0], part)[:, None, None]
    time = sinusoid(cells[:, 1], part)[:, None, None]
    shape = (len(cells), rows, columns, part)
    parts = [position.expand(shape) for position in (column, row, view, time)]
    return torch.cat(parts, dim=-1).flatten(1, 2)


def sinusoid(position: torch.Tensor, dim: int) -> torch.Tensor:
    """Sines and cosines [..., dim] of integer positions, wavelengths from 2 pi to 200 pi."""
    exponent = torch.linspace(0.0, 1.0, dim // 2, device=position.device)
    angle = position[..., None] / 100.0**exponent
    return torch.cat([angle.sin(), angle.cos()], dim=-1)

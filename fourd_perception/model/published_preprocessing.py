"""Image files as the published networks are given them (VGGT A.1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
import torch
import torch.nn.functional as F

PATCH = 14
TARGET = 518
WHITE, BLACK = 1.0, 0.0


def load_images(paths: Sequence[Path], mode: str = 'crop', target: int = TARGET) -> torch.Tensor:
    """Images float32 [S, 3, H, W], RGB in 0..1, H and W multiples of 14 and at most `target`.

    mode:   `crop`: width `target`, rows beyond `target` cut off at top and bottom;
            `pad`: longer side `target`, padded to a square in white
    target: pixels, a multiple of 14
    Images of different shapes are padded in white to the largest. Raises ValueError for an
    unknown mode, a target that is no multiple of 14, and no image at all.
    """
    if mode not in ('crop', 'pad'):
        raise ValueError(f'mode {mode!r}; images are prepared by crop or pad')
    if target <= 0 or target % PATCH:
        raise ValueError(f'target {target} pixels; use a multiple of {PATCH}')
    if not paths:
        raise ValueError('no image to prepare; give at least one')
    prepare = _cropped if mode == 'crop' else _padded
    images = [prepare(open_rgb(path), target) for path in paths]
    height = max(image.shape[1] for image in images)
    width = max(image.shape[2] for image in images)
    return torch.stack([_centred(image, height, width, WHITE) for image in images])


def load_squares(paths: Sequence[Path], target: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images padded in black to squares: float32 [S, 3, target, target], and where they lie.

    Places float32 [S, 6]: x1, y1, x2, y2 of the image in the square of `target` pixels, and its
    own width and height.
    """
    squares, places = [], []
    for path in paths:
        image = open_rgb(path)
        width, height = image.size
        side = max(width, height)
        left, top = (side - width) // 2, (side - height) // 2
        square = Image.new('RGB', (side, side))
        square.paste(image, (left, top))
        squares.append(_tensor(square.resize((target, target), Image.Resampling.BICUBIC)))
        scale = target / side
        corners = (left, top, left + width, top + height)
        places.append([*(scale * corner for corner in corners), width, height])
    return torch.stack(squares), torch.tensor(places)


def open_rgb(path: Path) -> Image.Image:
    """An image file as RGB, transparency put over white."""
    image: Image.Image = Image.open(path)
    if image.mode == 'RGBA':
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return image.convert('RGB')


def _cropped(image: Image.Image, target: int) -> torch.Tensor:
    width, height = image.size
    rows = _to_patches(height * target / width)
    pixels = _tensor(image.resize((target, rows), Image.Resampling.BICUBIC))
    start = max(rows - target, 0) // 2
    return pixels[:, start : start + target]


def _padded(image: Image.Image, target: int) -> torch.Tensor:
    width, height = image.size
    if width >= height:
        size = target, _to_patches(height * target / width)
    else:
        size = _to_patches(width * target / height), target
    pixels = _tensor(image.resize(size, Image.Resampling.BICUBIC))
    return _centred(pixels, target, target, WHITE)


def _to_patches(pixels: float) -> int:
    """The nearest multiple of the patch, halves to the even one, at least one patch."""
    return max(round(pixels / PATCH) * PATCH, PATCH)


def _tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def _centred(image: torch.Tensor, height: int, width: int, value: float) -> torch.Tensor:
    top, left = (height - image.shape[1]) // 2, (width - image.shape[2]) // 2
    bottom, right = height - image.shape[1] - top, width - image.shape[2] - left
    return F.pad(image, (left, right, top, bottom), value=value)

"""Refusing grids that no network can read, with the reason in plain words."""

from __future__ import annotations

from fourd_perception.model.prediction import GridTensors
import numpy as np
import torch


def check_grid(grid: GridTensors, patch: int) -> None:
    """Raise ValueError unless the grid is one that a network of this patch size can read.

    Checked: the shapes, that height and width are multiples of `patch` (pixels), that a cell is
    present and the reference cell among them, and that every pixel of a present cell is finite.
    """
    shape = tuple(grid.images.shape)
    if len(shape) != 5 or shape[2] != 3 or not grid.images.is_floating_point():
        raise ValueError(
            f'the images are {grid.images.dtype} {list(shape)}; '
            'a network reads floating point [V, T, 3, H, W]'
        )
    height, width = shape[3:]
    if height % patch or width % patch or not height or not width:
        raise ValueError(
            f'the images are {width}x{height} pixels, which are not multiples of the patch '
            f'{patch}; resize to {_multiple(width, patch)}x{_multiple(height, patch)}'
        )
    if grid.present.shape != shape[:2]:
        raise ValueError(
            f'`present` is {list(grid.present.shape)} where the images have {list(shape[:2])} '
            'cells; give one flag per view and time'
        )
    if not grid.present.any():
        raise ValueError(
            f'none of the {grid.present.size} cells of the grid holds a frame; give at least one'
        )
    view, time = grid.reference
    if not (0 <= view < shape[0] and 0 <= time < shape[1] and grid.present[view, time]):
        raise ValueError(
            f'the reference cell (view {view}, time {time}) holds no frame; name a present cell'
        )
    _check_finite(grid)


def check_images(images: torch.Tensor, size: tuple[int, int], weight: torch.Tensor) -> None:
    """Raise ValueError unless images [B, S, 3, H, W] fit tables of `size` (H, W) and the weights.

    Costs no synchronisation with the device, and so does not look at the pixels.
    """
    shape = list(images.shape)
    if len(shape) != 5 or shape[2] != 3 or not images.is_floating_point() or not shape[1]:
        raise ValueError(
            f'the images are {images.dtype} {shape}; a network reads floating point '
            '[B, S, 3, H, W], RGB in 0..1, of one frame or more'
        )
    if (shape[3], shape[4]) != size:
        raise ValueError(
            f'the images are {shape[4]}x{shape[3]} pixels, the tables were made for '
            f'{size[1]}x{size[0]}; make tables of that size'
        )
    if images.device != weight.device:
        raise ValueError(
            f'the images lie on {images.device}, the weights on {weight.device}; move the images'
        )
    # Only then does it matter; some devices, such as meta, know no autocast.
    if images.dtype != weight.dtype and not torch.is_autocast_enabled(images.device.type):
        raise ValueError(
            f'the images are {images.dtype}, the weights {weight.dtype}; convert the images, or '
            'run under autocast'
        )


def _multiple(pixels: int, patch: int) -> int:
    return max(patch, round(pixels / patch) * patch)


def _check_finite(grid: GridTensors) -> None:
    finite = torch.isfinite(grid.images).flatten(2).all(dim=2).cpu().numpy()
    broken = np.argwhere(grid.present & ~finite)
    if len(broken):
        view, time = broken[0]
        raise ValueError(
            f'{len(broken)} of {int(grid.present.sum())} images hold pixels that are not finite, '
            f'the first at view {view}, time {time}; a network reads RGB in 0..1'
        )

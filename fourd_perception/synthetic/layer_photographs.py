"""What a camera makes of a picture: blur, colour, exposure, vignetting, noise, compression."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import functional as F

BLURRED, COMPRESSED = 0.2, 0.4
BLOCK = 8


def photograph(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A photograph of the picture float32 [3, H, W] in 0..1, in steps of 1 / 255.

    generator: on the CPU; its state alone decides. Every photograph has its own gamma and exposure
    (10 %), white balance (5 %), vignetting (up to 20 % at the corners) and noise (up to 2 % of
    full scale); 20 % are out of focus, 40 % compressed.
    """
    draws = torch.rand(10, generator=generator).tolist()
    noise = torch.randn(image.shape, generator=generator).to(image.device)
    if draws[0] < BLURRED:
        image = _blurred(image, 0.5 + draws[1])
    gain = 0.9 + 0.2 * draws[2] + 0.1 * (torch.tensor(draws[3:6]) - 0.5)
    image = image.clamp(min=1e-3) ** (0.9 + 0.2 * draws[6]) * gain.to(image.device)[:, None, None]
    image = image * (1 - 0.2 * draws[7] * _from_middle(image)) + 0.02 * draws[8] * noise
    image = image.clamp(0, 1)
    if draws[9] < COMPRESSED:
        image = compressed(image, 0.01 + 0.05 * draws[9] / COMPRESSED).clamp(0, 1)
    return (255 * image).round() / 255


def _blurred(image: torch.Tensor, deviation: float) -> torch.Tensor:
    """Under a Gaussian of so many pixels."""
    reach = torch.arange(-4, 5, device=image.device)
    kernel = torch.exp(-0.5 * (reach / deviation) ** 2)
    kernel = kernel / kernel.sum()
    wide = F.pad(image[:, None], (4, 4, 4, 4), mode='replicate')
    return F.conv2d(F.conv2d(wide, kernel.view(1, 1, 1, 9)), kernel.view(1, 1, 9, 1))[:, 0]


def _from_middle(image: torch.Tensor) -> torch.Tensor:
    """Square of the distance from the middle [H, W], 1 at the corners."""
    height, width = image.shape[1:]
    y = torch.linspace(-1, 1, height, device=image.device)[:, None]
    x = torch.linspace(-1, 1, width, device=image.device)
    return 0.5 * (x * x + y * y)


def compressed(image: torch.Tensor, step: float) -> torch.Tensor:
    """Cosine coefficients of blocks of 8x8 pixels in steps that grow with the frequency.

    step: of the lowest frequency, of full scale; as JPEG does, but for its treatment of colours
    """
    height, width = image.shape[1:]
    basis, rise = (x.to(image.device) for x in _cosines())
    wide = F.pad(image[None], (0, -width % BLOCK, 0, -height % BLOCK), mode='replicate')[0]
    blocks = wide.unflatten(2, (-1, BLOCK)).unflatten(1, (-1, BLOCK)).transpose(2, 3)
    steps = step * rise
    kept = (basis @ blocks @ basis.T / steps).round() * steps
    out = (basis.T @ kept @ basis).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return out[:, :height, :width]


@lru_cache(maxsize=1)
def _cosines() -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal cosines [8, 8], and how much coarser each coefficient's steps are [8, 8]."""
    k = torch.arange(BLOCK, dtype=torch.float32)
    basis = torch.cos(torch.pi / BLOCK * (k + 0.5) * k[:, None]) * (2 / BLOCK) ** 0.5
    basis[0] *= 0.5**0.5
    return basis, 1 + k + k[:, None]

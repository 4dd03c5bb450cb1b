"""What cameras do to light: exposure, colours, vignetting, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
import math

from fourd_perception.synthetic.generator.draws import Draws
import numpy as np
import torch
from torch.nn import functional as F

_COMPRESSED, _NOISY = 0.5, 0.7
_GRAINS = 1 << 18
# Quantisation of brightness and colour in steps of 1/255 at quality 50 (JPEG, annex K).
_LUMA = (
    '16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 '
    '62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 '
    '98 112 100 103 99'
)
_CHROMA = (
    '17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 '
    '99 ' + 32 * '99 '
)
_YCC_FROM_RGB = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


@dataclass(frozen=True, eq=False)
class Cameras:
    """How the cameras of B clips see colours, float64; V views, T instants.

    exposure:   [B, V, T] factor on the light, around that of an automatic exposure
    target:     [B] mean brightness that the exposure aims at
    balance:    [B, V, 3] factors of red, green and blue
    gamma, saturation: [B, V]
    vignetting: [B, V] share of light that is missing in the corners
    shot, read: [B, V] noise that grows with the light, and that does not
    grains:     [B, V, T, 3] where in the stock of noise an image begins, 0..1
    step:       [B, V] coarseness of the compression (1 at quality 50), 0 without
    """

    exposure: np.ndarray
    target: np.ndarray
    balance: np.ndarray
    gamma: np.ndarray
    saturation: np.ndarray
    vignetting: np.ndarray
    shot: np.ndarray
    read: np.ndarray
    grains: np.ndarray
    step: np.ndarray


def draw_cameras(draws: Draws, views: int, instants: int) -> Cameras:
    """Cameras of one make or of several."""
    shape = (views,)
    drift = draws.uniform('drift', -1, 1, (views, instants)) * 0.04
    swing = draws.uniform('swing', 0, 0.25) * draws.chance('swings', 0.3)
    phase = draws.uniform('phase', 0, 2 * np.pi)[:, None] + np.linspace(0, 5, instants)
    drift = drift + (swing[:, None] * np.sin(phase))[:, None]
    noisy = draws.chance('noisy', _NOISY)[:, None]
    coarse = draws.log_uniform('step', 0.1, 1.6, shape)
    return Cameras(
        exposure=np.exp(drift + draws.uniform('bias', -0.15, 0.15, shape)[..., None]),
        target=draws.uniform('target', 0.3, 0.55),
        balance=np.exp(draws.uniform('balance', -0.1, 0.1, (views, 3))),
        gamma=np.exp(draws.uniform('gamma', -0.25, 0.25, shape)),
        saturation=draws.uniform('saturation', 0.5, 1.15, shape),
        vignetting=draws.uniform('vignetting', 0.0, 0.5, shape)
        * draws.chance('vignetted', 0.5, shape),
        shot=draws.log_uniform('shot', 0.003, 0.04, shape) * noisy,
        read=draws.log_uniform('read', 0.001, 0.02, shape) * noisy,
        grains=draws.uniform('grains', shape=(views, instants, 3)),
        step=coarse * draws.chance('compressed', _COMPRESSED)[:, None],
    )


def photograph(light: torch.Tensor, cameras: Cameras) -> torch.Tensor:
    """Images uint8 [B, V, T, 3, H, W] of light [B, V, T, 3, H, W] on their pixels."""
    device = light.device

    def per_image(values: np.ndarray) -> torch.Tensor:
        """[B, V] or [B, V, T] as [B, V, 1 or T, 1, 1, 1]."""
        tensor = torch.from_numpy(values).to(device, torch.float32)
        return tensor.view(*tensor.shape, *(1,) * (6 - tensor.ndim))

    # One automatic exposure a clip, so that views and instants stay comparable.
    mean = light.mean((1, 2, 3, 4, 5), keepdim=True)
    target = torch.from_numpy(cameras.target).to(device, torch.float32).view(-1, 1, 1, 1, 1, 1)
    gain = (target / mean.clamp(min=1e-3)).clamp(0.5, 4.0)
    balance = torch.from_numpy(cameras.balance).to(device, torch.float32)[
        :, :, None, :, None, None
    ]
    dark = 1 - per_image(cameras.vignetting) * _corners(light)
    image = light * gain * per_image(cameras.exposure) * balance * dark
    grey = image.mean(3, keepdim=True)
    image = grey + per_image(cameras.saturation) * (image - grey)
    # A soft shoulder: what is too bright does not end at once.
    image = 1 - F.softplus(1 - image.clamp(min=0), beta=8)
    image = image.clamp(1e-4, 1).pow(per_image(cameras.gamma))
    strength = (per_image(cameras.shot).square() * image + per_image(cameras.read).square()).sqrt()
    image = (image + strength * _grains(cameras.grains, light)).clamp(0, 1)
    step = per_image(cameras.step)
    if (cameras.step > 0).any():
        image = torch.where(step > 0, _compressed(image, step), image)
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)


def _corners(light: torch.Tensor) -> torch.Tensor:
    """Squared distance from the middle of the image [H, W], 1 in the corners."""
    height, width = light.shape[-2:]
    y, x = (torch.linspace(-1, 1, n, device=light.device) for n in (height, width))
    return 0.5 * (x.square() + y.square()[:, None])


def _grains(grains: np.ndarray, light: torch.Tensor) -> torch.Tensor:
    """Normal noise like the light: runs of one stock, so that it costs no random numbers."""
    stock = _noise(light.device)
    start = torch.from_numpy((grains * _GRAINS).astype(np.int64)).to(light.device)
    places = torch.arange(math.prod(light.shape[-2:]), device=light.device)
    run = (start[..., None] + places) & (_GRAINS - 1)
    return stock[run].unflatten(-1, light.shape[-2:])


@cache
def _noise(device: torch.device) -> torch.Tensor:
    values = np.random.default_rng(11).standard_normal(_GRAINS).astype(np.float32)
    return torch.from_numpy(values).to(device)


def _compressed(image: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """The image after JPEG of 8 x 8 blocks, colours at half the size; step [B, V, 1, 1, 1, 1]."""
    mix = torch.tensor(_YCC_FROM_RGB, device=image.device)
    ycc = torch.einsum('ij,...jhw->...ihw', mix, image)
    luma = _quantised(ycc[..., :1, :, :], _LUMA, step)
    small = F.avg_pool2d(ycc[..., 1:, :, :].flatten(0, 3), 2).unflatten(0, (*ycc.shape[:3], 2))
    chroma = _quantised(small, _CHROMA, step).flatten(0, 3)[:, None]
    chroma = F.interpolate(chroma, scale_factor=2, mode='bilinear')
    chroma = chroma.view(*ycc.shape[:3], 2, *ycc.shape[-2:])
    return torch.einsum('ij,...jhw->...ihw', mix.inverse(), torch.cat([luma, chroma], -3))


def _quantised(plane: torch.Tensor, table: str, step: torch.Tensor) -> torch.Tensor:
    """Planes [..., H, W] whose 8 x 8 blocks keep whole multiples of the table's steps."""
    steps = torch.tensor([float(s) for s in table.split()], device=plane.device).view(8, 8)
    steps = (steps * step[..., None, None] / 255).clamp(min=1 / 255)
    wave = _cosines(plane.device)
    blocks = plane.unflatten(-2, (-1, 8)).unflatten(-1, (-1, 8)).transpose(-3, -2)
    waves = wave @ blocks @ wave.mT
    rounded = (waves / steps).round() * steps
    back = (wave.mT @ rounded @ wave).transpose(-3, -2)
    return back.flatten(-2).flatten(-3, -2)


@cache
def _cosines(device: torch.device) -> torch.Tensor:
    """The orthonormal cosine transform of 8 samples [8, 8]."""
    k = np.arange(8)[:, None]
    wave = np.cos(np.pi * k * (2 * np.arange(8) + 1) / 16) * 0.5
    wave[0] *= np.sqrt(0.5)
    return torch.from_numpy(wave).to(device, torch.float32)

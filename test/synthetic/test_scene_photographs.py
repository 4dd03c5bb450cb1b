"""What cameras do to light."""

from __future__ import annotations

from dataclasses import replace

import cv2
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.photograph import Cameras, draw_cameras, photograph
import numpy as np
import pytest
import torch


def ideal(clips: int = 1, views: int = 1, instants: int = 1) -> Cameras:
    """Cameras without any fault, whose exposure aims at the middle of the range."""
    cell, view = (clips, views, instants), (clips, views)
    return Cameras(
        exposure=np.ones(cell),
        target=np.full(clips, 0.5),
        balance=np.ones((*view, 3)),
        gamma=np.ones(view),
        saturation=np.ones(view),
        vignetting=np.zeros(view),
        shot=np.zeros(view),
        read=np.zeros(view),
        grains=np.zeros((*cell, 3)),
        step=np.zeros(view),
    )


def picture(seed: int = 0, size=(64, 96)) -> torch.Tensor:
    """Smooth light with an edge [1, 1, 1, 3, H, W], of mean .5."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.random((6, 8, 3)), size[::-1], interpolation=cv2.INTER_CUBIC)
    image[:, size[1] // 2 :] *= 0.6
    image = np.clip(image, 0.02, 0.8)
    return torch.from_numpy(image * 0.5 / image.mean()).float().permute(2, 0, 1)[None, None, None]


def test_an_ideal_camera_keeps_what_is_not_too_bright():
    light = picture().clamp(max=0.6)
    light *= 0.5 / light.mean()
    seen = photograph(light, ideal()).float() / 255
    assert (seen - light).abs()[light < 0.55].max() < 0.02
    bright = replace(ideal(), target=np.ones(1))
    glare = photograph(torch.linspace(0, 2, 256).expand(1, 1, 1, 3, 16, 256), bright)
    rise = glare[0, 0, 0, 0, 0].int().diff()
    # What is too bright ends softly, without turning back.
    assert (rise >= 0).all() and glare.max() >= 253


@pytest.mark.parametrize(
    'fault, brighter',
    [
        ({'exposure': np.full((1, 1, 1), 0.8)}, False),
        ({'gamma': np.full((1, 1), 0.7)}, True),
        ({'vignetting': np.full((1, 1), 0.5)}, False),
    ],
)
def test_faults_change_brightness(fault, brighter):
    light = picture()
    cameras = ideal(), replace(ideal(), **fault)
    plain, changed = (photograph(light, c).float() for c in cameras)
    assert (changed.mean() > plain.mean() + 5) if brighter else (changed.mean() < plain.mean() - 5)
    if 'vignetting' in fault:
        middle, corner = (slice(28, 36), slice(44, 52)), (slice(0, 4), slice(0, 4))
        lost = (changed / plain.clamp(min=1))[0, 0, 0, 0]
        assert lost[middle].mean() > 0.97 and lost[corner].mean() < 0.65


def test_white_balance_tints_and_saturation_greys():
    light = picture()
    tinted = photograph(light, replace(ideal(), balance=np.array([[[1.1, 1.0, 0.8]]])))
    plain = photograph(light, ideal())
    change = (tinted.float() - plain.float()).mean((0, 1, 2, 4, 5))
    assert change[0] > 2 and abs(change[1]) < 0.1 and change[2] < -4
    grey = photograph(light, replace(ideal(), saturation=np.zeros((1, 1)))).float()
    assert (grey.amax(3) - grey.amin(3)).max() <= 1


def test_noise_is_as_strong_as_it_says_and_new_in_every_image():
    flat = torch.full((1, 1, 2, 3, 64, 64), 0.5)
    grains = Draws.of([1]).uniform('grains', shape=(1, 2, 3))
    cameras = replace(
        ideal(instants=2),
        shot=np.full((1, 1), 0.03),
        read=np.full((1, 1), 0.01),
        grains=grains,
    )
    noise = photograph(flat, cameras)[0, 0].double() / 255
    noise = noise - noise.mean((2, 3), keepdim=True)
    assert noise.std().item() == pytest.approx(np.hypot(0.03 * np.sqrt(0.5), 0.01), rel=0.06)
    images = noise.flatten(2).flatten(0, 1)
    related = torch.corrcoef(images) - torch.eye(6)
    assert related.abs().max() < 0.06


@pytest.mark.parametrize('quality', [30, 50, 80])
def test_compression_loses_about_what_jpeg_loses(quality):
    light = picture(3)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.02, light.shape)).float()
    light = (light + noise).clamp(0.02, 0.7)
    light *= 0.5 / light.mean()
    plain = photograph(light, ideal())[0, 0, 0]
    step = 50 / quality if quality < 50 else 2 - quality / 50
    ours = photograph(light, replace(ideal(), step=np.full((1, 1), step)))[0, 0, 0].float()
    bgr = plain.permute(1, 2, 0).numpy()[..., ::-1]
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    jpeg = torch.from_numpy(cv2.imdecode(data, 1)[..., ::-1].copy()).permute(2, 0, 1).float()
    lost, wanted = ((x - plain.float()).square().mean().sqrt() for x in (ours, jpeg))
    assert wanted > 1 and lost == pytest.approx(wanted, rel=0.25)
    # Not only as much: the same.
    assert (ours - jpeg).square().mean().sqrt() < 0.5 * wanted


def test_drawn_cameras_differ_and_some_have_no_fault():
    cameras = draw_cameras(Draws.of(range(300)), 2, 3)
    assert cameras.exposure.shape == (300, 2, 3)
    for name, least, most in (('step', 0.4, 0.6), ('vignetting', 0.4, 0.6), ('read', 0.2, 0.4)):
        assert least < (getattr(cameras, name) == 0).mean() < most
    assert (np.diff(cameras.exposure, axis=2) != 0).all()

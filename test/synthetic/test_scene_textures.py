"""Tiles: all families, seamless, and read without aliasing."""

from __future__ import annotations

from fourd_perception.synthetic.generator.stock import stock, texture
from fourd_perception.synthetic.generator.tiles import FAMILIES, PER_FAMILY, TILE, tiles
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def texels() -> torch.Tensor:
    return stock(torch.device('cpu'))


@pytest.fixture(scope='module')
def made() -> np.ndarray:
    return tiles(5).astype(float)


def read(texels, tile, u, v, footprint) -> np.ndarray:
    """RGB [N, 3]."""
    values = [
        torch.as_tensor(x, dtype=torch.float32).expand(len(u)) for x in (tile, u, v, footprint)
    ]
    return torch.stack(texture(texels, *values), 1).numpy()


def test_every_family_has_its_own_kind_of_tiles(made):
    assert made.shape == (len(FAMILIES) * PER_FAMILY, 3, TILE, TILE)
    assert made.min() >= 0 and made.max() <= 1 and np.isfinite(made).all()
    assert (made.std((2, 3)).max(1) > 0.02).mean() > 0.97
    assert len(np.unique(made.reshape(len(made), -1)[:, ::97], axis=0)) == len(made)


@pytest.mark.parametrize('family', [f for f in FAMILIES if f not in ('glyphs', 'wood')])
def test_tiles_meet_themselves_without_a_seam(made, family):
    number = list(FAMILIES).index(family)
    own = made[number * PER_FAMILY :][:PER_FAMILY]
    for axis in (2, 3):
        step = np.abs(np.diff(own, axis=axis, append=np.take(own, [0], axis)))
        step = step.mean((1, 5 - axis))
        # The step over the rim is one of all the steps there are.
        assert (step[:, -1] <= step.max(1) + 1e-9).all()
        if family in ('noise', 'leaves', 'cells', 'ramps'):
            assert step[:, -1].mean() < 1.5 * step.mean()


def test_a_close_look_is_bilinear(texels, made):
    made = np.round(made * 255) / 255
    rng = np.random.default_rng(0)
    tile, (u, v) = rng.integers(0, len(made), 500), rng.uniform(-300, 300, (2, 500))
    wanted = []
    for number, x, y in zip(tile, u - 0.5, v - 0.5):
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        rows = np.take(made[number], [y0, y0 + 1], axis=1, mode='wrap')
        four = np.take(rows, [x0, x0 + 1], axis=2, mode='wrap')
        wanted.append(four @ [x0 + 1 - x, x - x0] @ [y0 + 1 - y, y - y0])
    np.testing.assert_allclose(read(texels, tile, u, v, 0.7), wanted, atol=2e-3)


def test_from_afar_a_tile_is_its_mean(texels, made):
    number = np.arange(len(made))
    far = read(texels, number, number * 7.3, number * 1.9, 1e4)
    np.testing.assert_allclose(far, made.mean((2, 3)), atol=0.01)


@pytest.mark.parametrize('footprint', [2.0, 4.0, 11.0])
def test_what_is_too_fine_for_a_footprint_is_gone(texels, made, footprint):
    """Neighbouring samples, as far apart as their footprint, hardly depend on where they begin."""
    noise = list(FAMILIES).index('noise') * PER_FAMILY
    place = np.arange(0, TILE, footprint / 8)
    line = read(texels, noise, place, 0 * place + 40, footprint)
    steps = np.abs(np.diff(line, axis=0)).max()
    raw = np.abs(np.diff(made[noise], axis=2)).max()
    assert steps < raw / 2
    checks = list(FAMILIES).index('checks') * PER_FAMILY
    contrast = [read(texels, checks, place, place * 0.3, f).std() for f in (0.5, footprint, 64)]
    assert contrast[0] >= contrast[1] >= contrast[2]

"""Textures: the pattern is there, repeats, and fades to its mean instead of sparkling."""

from fourd_perception.synthetic.textures import noise, PATTERNS, Texture
import numpy as np
import pytest

DARK, LIGHT = (0.2, 0.1, 0.3), (0.8, 0.9, 0.7)
FIGURES = [pattern for pattern in PATTERNS if pattern != 'plain']


def lattice(size, count=256):
    """[2, count^2] coordinates over a square of `size` metres."""
    steps = (np.arange(count) + 0.5) * size / count
    return np.stack(np.meshgrid(steps, steps)).reshape(2, -1)


def red(texture, uv, footprint):
    return texture.colour(uv, np.full(uv.shape[1], footprint))[0]


@pytest.mark.parametrize('pattern', FIGURES)
def test_a_pattern_shows_both_colours_and_repeats(pattern):
    texture = Texture(pattern, (DARK, LIGHT), period=0.5, noise=0.0)
    uv = lattice(0.5)
    value = red(texture, uv, 1e-4)
    assert value.min() == pytest.approx(DARK[0], abs=0.01)
    assert (value > 0.4).mean() > 0.2 and (value < 0.3).mean() > 0.1
    if pattern != 'windows':  # every window has a brightness of its own
        again = red(texture, uv + [[1.5], [-2.0]], 1e-4)
        assert np.abs(again - value).mean() < 1e-3


@pytest.mark.parametrize('pattern', FIGURES)
def test_detail_finer_than_a_sample_fades_to_the_mean(pattern):
    texture = Texture(pattern, (DARK, LIGHT), period=0.5, noise=0.0)
    uv = lattice(8.0, 512)
    fine, coarse = red(texture, uv, 1e-4), red(texture, uv, 4.0)
    assert coarse.mean() == pytest.approx(fine.mean(), abs=0.04)
    assert coarse.std() < 0.25 * fine.std()


def test_noise_has_detail_at_every_scale_and_loses_what_is_too_fine():
    texture = Texture('plain', (LIGHT, LIGHT), noise=0.3)
    for size in (0.05, 0.5, 5.0):
        footprint = size / 256
        value = red(texture, lattice(size), footprint).reshape(256, 256)
        assert value.std() > 0.01
        # Neighbouring samples differ, but hang together.
        step = np.abs(np.diff(value, axis=1)).mean()
        assert 0.001 < step < 0.6 * value.std()
    assert red(texture, lattice(5.0), 50.0).std() < 1e-3


def test_noise_is_the_mean_of_its_finer_levels():
    uv = lattice(1.0, 64)
    fine = noise(lattice(1.0, 512).astype(np.float32), np.zeros(512 * 512, np.float32))
    mean = fine.reshape(64, 8, 64, 8).mean(axis=(1, 3)).ravel()
    coarse = noise(uv.astype(np.float32), np.full(uv.shape[1], 1 / 64, np.float32))
    assert np.abs(coarse - mean).max() < 1e-4


def test_an_unknown_pattern_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'tartan'.*checks"):
        Texture('tartan', (DARK, LIGHT))

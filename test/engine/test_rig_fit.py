"""Scale and rig poses from cameras whose places are known."""

from fourd_perception.engine.rig_fit import base_poses, fit_rig, refusal
from fourd_perception.geometry.poses import nearest_rotation, rotation_angle, transform
from hypothesis import given, strategies as st
import numpy as np
import pytest

seeds = st.integers(0, 2**32 - 1)


def random_poses(rng, count, spread=1.0):
    rotation = nearest_rotation(rng.normal(size=(count, 3, 3)))
    return transform(rotation, rng.normal(scale=spread, size=(count, 3)))


def predicted(rng, cameras, times, scale):
    """The gauge poses of a rig seen at several times, with the truth behind them."""
    gauge_from_base = random_poses(rng, times, spread=5.0)
    base_from_camera = np.tile(random_poses(rng, cameras), (times, 1, 1))
    group = np.repeat(np.arange(times), cameras)
    gauge_from_camera = gauge_from_base[group] @ base_from_camera
    gauge_from_camera[:, :3, 3] /= scale
    return gauge_from_camera, base_from_camera, group, gauge_from_base


@given(seeds, st.integers(2, 8), st.integers(1, 5), st.floats(0.01, 100))
def test_exact_predictions_give_the_scale_and_every_pose_of_the_base(seed, cameras, times, scale):
    rng = np.random.default_rng(seed)
    gauge, base, group, truth = predicted(rng, cameras, times, scale)
    fit = fit_rig(gauge, base, group)
    assert fit.scale == pytest.approx(scale, rel=1e-9)
    assert fit.spread < 1e-9
    np.testing.assert_allclose(base_poses(fit, gauge, base, fit.scale), truth, atol=1e-8)


@given(seeds)
def test_cameras_may_be_missing_here_and_there(seed):
    rng = np.random.default_rng(seed)
    gauge, base, group, truth = predicted(rng, cameras=4, times=4, scale=3.0)
    kept = rng.random(16) < 0.6
    kept[[0, 4, 8, 9, 12]] = True  # one camera in every group, two in one
    fit = fit_rig(gauge[kept], base[kept], group[kept])
    assert fit.scale == pytest.approx(3.0, rel=1e-9)
    found = base_poses(fit, gauge[kept], base[kept], fit.scale)
    np.testing.assert_allclose(found, truth, atol=1e-8)


def test_the_scale_is_the_one_of_least_squares():
    """Against a plain search over scales, base positions solved by the mean for each."""
    rng = np.random.default_rng(0)
    gauge, base, group, _ = predicted(rng, cameras=3, times=4, scale=2.0)
    gauge[:, :3, 3] += rng.normal(scale=0.02, size=(12, 3))
    fit = fit_rig(gauge, base, group)

    def error(scale):
        total = 0.0
        for g in range(4):
            cells = group == g
            arms = base[cells, :3, 3] @ fit.rotation[g].T / scale
            off = gauge[cells, :3, 3] - arms
            total += ((off - off.mean(axis=0)) ** 2).sum()
        return total

    scales = np.linspace(1.8, 2.2, 4001)
    best = scales[np.argmin([error(scale) for scale in scales])]
    assert fit.scale == pytest.approx(best, abs=2e-4)


def test_scale_is_unbiased_and_its_spread_is_what_it_scatters_by():
    rng = np.random.default_rng(1)
    clean, base, group, _ = predicted(rng, cameras=4, times=4, scale=2.0)
    fits = []
    for _ in range(400):
        gauge = clean.copy()
        gauge[:, :3, 3] += rng.normal(scale=0.02, size=(16, 3))
        fits.append(fit_rig(gauge, base, group))
    slopes = np.array([1 / fit.scale for fit in fits])
    assert np.mean(slopes) == pytest.approx(0.5, abs=4 * slopes.std() / 20)
    spread = np.median([fit.spread for fit in fits])
    assert spread == pytest.approx(slopes.std() / 0.5, rel=0.15)
    variance = np.mean([fit.position_variance for fit in fits])
    assert variance == pytest.approx(0.02**2, rel=0.1)


def test_noise_of_orientations_is_measured_as_it_is():
    rng = np.random.default_rng(2)
    gauge, base, group, truth = predicted(rng, cameras=8, times=50, scale=1.0)
    gauge[:, :3, :3] = nearest_rotation(gauge[:, :3, :3] + 0.01 * rng.normal(size=(400, 3, 3)))
    fit = fit_rig(gauge, base, group)
    # The skew part of the noise, sigma / sqrt 2 about each axis, is what turns.
    assert fit.angle_variance == pytest.approx(0.01**2 / 2, rel=0.1)
    error = rotation_angle(np.swapaxes(fit.rotation, 1, 2) @ truth[:, :3, :3])
    assert np.sqrt((error**2).mean() / 3) == pytest.approx(0.01 / np.sqrt(2 * 8), rel=0.2)


def words(gauge, base, group, depth=5.0, spread=0.05, ratio=0.1):
    return refusal(fit_rig(gauge, base, group), depth, spread, ratio)


def test_why_a_scale_is_refused_is_said_in_words():
    rng = np.random.default_rng(3)
    gauge, base, group, _ = predicted(rng, cameras=4, times=3, scale=1.0)
    assert words(gauge, base, group) == ''
    alone = np.arange(12) % 4 == 0
    assert 'no two cameras' in words(gauge[alone], base[alone], np.arange(3))
    noise = gauge.copy()
    noise[:, :3, 3] += rng.normal(scale=0.4, size=(12, 3))
    assert 'fit the known rig only to' in words(noise, base, group)
    mirrored = gauge.copy()
    mirrored[:, :3, 3] *= -1
    for g in range(3):  # turned inside out about each base
        cells = group == g
        mirrored[cells, :3, 3] -= mirrored[cells, :3, 3].mean(axis=0)
    assert 'not at all' in words(mirrored, base, group)
    far = words(gauge, base, group, depth=200.0)
    assert 'of the median depth of 200.00 m; below 10% that fixes no scale' in far
    assert 'm apart' in far


def test_cameras_at_one_place_fix_no_scale_and_do_no_harm():
    rng = np.random.default_rng(4)
    gauge, base, group, _ = predicted(rng, cameras=3, times=2, scale=1.0)
    base[:, :3, 3] = 0.0
    assert words(gauge, base, group)

"""Alignment recovers the similarity or the rigid motion that was applied."""

from fourd_perception.geometry.alignment import align_poses, umeyama
from fourd_perception.geometry.poses import nearest_rotation, rotation_angle, transform
from hypothesis import given, strategies as st
import numpy as np
import pytest

seeds = st.integers(0, 2**32 - 1)


def random_rotation(rng, count=None):
    shape = (3, 3) if count is None else (count, 3, 3)
    return nearest_rotation(rng.normal(size=shape))


@given(seeds, st.floats(0.01, 100), st.integers(3, 30))
def test_umeyama_recovers_a_random_similarity(seed, scale, count):
    rng = np.random.default_rng(seed)
    rotation, translation = random_rotation(rng), rng.uniform(-50, 50, 3)
    source = rng.normal(size=(count, 3)) * [5, 2, 1]
    found = umeyama(source, scale * source @ rotation.T + translation)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    assert rotation_angle(found.rotation.T @ rotation) < 1e-6
    np.testing.assert_allclose(found.translation, translation, atol=1e-6)
    np.testing.assert_allclose(
        found.apply(source), scale * source @ rotation.T + translation, atol=1e-6
    )


def test_without_scale_the_best_rigid_motion_is_found():
    rng = np.random.default_rng(1)
    source = rng.normal(size=(20, 3))
    rotation = random_rotation(rng)
    target = 3.0 * source @ rotation.T + [1, 2, 3]
    found = umeyama(source, target, with_scale=False)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-12)
    np.testing.assert_allclose(found.apply(source).mean(0), target.mean(0), atol=1e-12)


def test_a_mirrored_cloud_is_matched_by_a_rotation_never_by_a_mirror():
    source = np.random.default_rng(2).normal(size=(30, 3))
    found = umeyama(source, source * [1, 1, -1])
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


def test_no_other_similarity_near_it_fits_noisy_points_better():
    rng = np.random.default_rng(3)
    source = rng.normal(size=(25, 3))
    target = 2.0 * source @ random_rotation(rng).T + rng.normal(scale=0.1, size=(25, 3))
    found = umeyama(source, target)

    def error(scale, rotation, translation):
        return ((scale * source @ rotation.T + translation - target) ** 2).sum()

    best = error(found.scale, found.rotation, found.translation)
    for _ in range(200):
        other = error(
            found.scale * (1 + rng.normal(scale=0.01)),
            nearest_rotation(found.rotation + rng.normal(scale=0.01, size=(3, 3))),
            found.translation + rng.normal(scale=0.01, size=3),
        )
        assert other > best


@pytest.mark.parametrize('count', [1, 2])
def test_too_few_points_are_refused(count):
    with pytest.raises(ValueError, match='three or more'):
        umeyama(np.ones((count, 3)), np.ones((count, 3)))


def test_points_on_a_line_are_refused():
    line = np.outer(np.arange(5.0), [1, 2, 3])
    with pytest.raises(ValueError, match='line'):
        umeyama(line, line)


@given(seeds, st.integers(1, 8))
def test_poses_of_the_same_bodies_give_the_motion_between_two_worlds(seed, count):
    rng = np.random.default_rng(seed)
    motion = transform(random_rotation(rng), rng.uniform(-50, 50, 3))
    source = transform(random_rotation(rng, count), rng.normal(size=(count, 3)))
    found = align_poses(motion @ source, source)
    np.testing.assert_allclose(found.target_from_source, motion, atol=1e-9)
    assert found.count == count
    assert found.position_variance < 1e-18
    assert found.angle_variance < 1e-18


def test_the_residual_of_aligned_poses_is_the_noise_that_was_put_in():
    rng = np.random.default_rng(4)
    count, sigma = 2000, 0.02
    source = transform(random_rotation(rng, count), rng.normal(size=(count, 3)))
    noisy = source.copy()
    noisy[:, :3, 3] += rng.normal(scale=sigma, size=(count, 3))
    found = align_poses(noisy, source)
    assert found.position_variance == pytest.approx(sigma**2, rel=0.1)

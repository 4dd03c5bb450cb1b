"""Motions from depth and flow: exact from exact input, robust, and honest about what they know."""

from dataclasses import replace

from fourd_perception.evaluation.pose_bench import run_trial, Trial
from fourd_perception.evaluation.pose_scenes import pose_pairs, PosePairs
from fourd_perception.geometry.pose_from_flow import MotionSettings, refusal, solve_motion
from fourd_perception.geometry.poses import invert, nearest_rotation, rotation_angle, transform
from fourd_perception.geometry.sightings import on_one_body, thin_sightings
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
import torch

SIZE = (60, 80)
SMALL = MotionSettings(least_inliers=100)
seeds = st.integers(0, 2**31 - 1)


def random_pose(rng, turn, shift):
    axis = rng.normal(size=3)
    x, y, z = turn * axis / np.linalg.norm(axis)
    step = rng.normal(size=3)
    rotation = np.linalg.matrix_power(
        nearest_rotation(np.eye(3) + np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) / 64), 64
    )
    return transform(rotation, shift * step / np.linalg.norm(step))


def seen(pairs: PosePairs, at: int, scale: float = 1.0, weights=None):
    intrinsics = pairs.intrinsics.expand(len(pairs.depth), 1, 3, 3)
    weights = torch.ones_like(pairs.depth) if weights is None else weights
    return thin_sightings(
        scale * pairs.depth[:, at, None],
        pairs.flow[:, at, None],
        weights[:, at, None],
        intrinsics,
        intrinsics,
    )


def solve(pairs, start=None, both=True, scale=1.0, weights=None, settings=SMALL):
    start = (
        torch.eye(4, dtype=torch.float64).expand(len(pairs.depth), 4, 4)
        if start is None
        else start
    )
    newer = seen(pairs, 1, scale, weights) if both else None
    return solve_motion(seen(pairs, 0, scale, weights), start, newer, settings)


def check(found, truth, degrees, share):
    """Rotation within `degrees`, translation within a share of its length."""
    off = np.degrees(rotation_angle(np.swapaxes(found[..., :3, :3], -1, -2) @ truth[..., :3, :3]))
    assert off.max() < degrees
    miss = np.linalg.norm(found[..., :3, 3] - truth[..., :3, 3], axis=-1)
    assert (miss < share * np.linalg.norm(truth[..., :3, 3], axis=-1) + 1e-12).all()


@settings(max_examples=10)
@given(seeds, st.floats(0.0, 20.0), st.booleans())
def test_exact_flow_gives_the_exact_motion_wherever_it_starts(seed, degrees, both):
    pairs = pose_pairs(2, seed, SIZE, baseline=0.05, movers=0.0)
    rng = np.random.default_rng(seed)
    start = np.stack([random_pose(rng, np.radians(degrees), 0.3) for _ in range(2)])
    solved = solve(pairs, torch.from_numpy(start), both)
    assert solved.solved.all()
    check(solved.older_from_newer.numpy(), pairs.older_from_newer.numpy(), 2e-3, 2e-3)


@settings(max_examples=6)
@given(seeds, st.floats(0.01, 100.0))
def test_scaled_depth_scales_the_translation_and_nothing_else(seed, scale):
    pairs = pose_pairs(1, seed, SIZE, baseline=0.05, movers=0.2)
    noise = torch.randn(pairs.flow.shape, generator=torch.Generator().manual_seed(seed))
    pairs = replace(pairs, flow=pairs.flow + 0.3 * noise)
    plain, scaled = solve(pairs), solve(pairs, scale=scale)
    unit = torch.tensor([scale] * 3 + [1.0] * 3, dtype=torch.float64)
    assert torch.allclose(
        scaled.older_from_newer[:, :3, 3], scale * plain.older_from_newer[:, :3, 3], rtol=1e-3
    )
    assert torch.allclose(
        scaled.older_from_newer[:, :3, :3], plain.older_from_newer[:, :3, :3], atol=1e-5
    )
    expected = plain.covariance * unit[:, None] * unit
    size = expected.diagonal(dim1=1, dim2=2).sqrt()
    off = (scaled.covariance - expected) / (size[:, :, None] * size[:, None, :])
    assert off.abs().max() < 0.05


@settings(max_examples=6)
@given(seeds)
def test_a_body_with_other_axes_moves_the_same_way(seed):
    """Where the camera sits on its body changes what the motion is called, not what it is."""
    pairs = pose_pairs(1, seed, SIZE, baseline=0.05, movers=0.0)
    rng = np.random.default_rng(seed)
    place = random_pose(rng, rng.uniform(0, np.pi), 1.0)
    older, newer = (on_one_body(seen(pairs, at), [0], place[None], place[None]) for at in (0, 1))
    solved = solve_motion(older, torch.eye(4).double()[None], newer, SMALL)
    truth = pairs.older_from_newer[0].numpy()
    check(invert(place) @ solved.older_from_newer[0].numpy() @ place, truth, 5e-3, 5e-3)


def test_the_other_way_round_is_the_inverse_motion_with_its_covariance():
    pairs = pose_pairs(2, 8, SIZE, baseline=0.3, movers=0.0)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(pairs.flow.shape, generator=generator)
    pairs = replace(pairs, flow=pairs.flow + 0.3 * noise)
    there = solve(pairs)
    back = solve(replace(pairs, depth=pairs.depth.flip(1), flow=pairs.flow.flip(1)))
    for body in range(2):
        motion = there.older_from_newer[body].numpy()
        inverse = invert(motion)
        check(back.older_from_newer[body].numpy(), inverse, 1e-3, 1e-3)
        x, y, z = motion[:3, 3]
        step = -np.kron(np.eye(2), inverse[:3, :3])
        step[:3, 3:] = -inverse[:3, :3] @ [[0, -z, y], [z, 0, -x], [-y, x, 0]]
        known = step @ there.covariance[body].numpy() @ step.T
        size = np.sqrt(np.diag(known))
        np.testing.assert_allclose(
            back.covariance[body].numpy() / np.outer(size, size),
            known / np.outer(size, size),
            atol=0.05,
        )


def rig_pairs(seed, views=(40, 60, 90)):
    """Cameras of several fields of view on one body that moves, each before a scene of its own."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    body = random_pose(rng, np.radians(3), 0.2)
    # Their places change a little too, as on a turning head.
    was = np.stack([random_pose(rng, rng.uniform(0, 3), 0.5) for _ in views])
    now = was @ np.stack([random_pose(rng, 0.02, 0.01) for _ in views])
    y, x = torch.meshgrid(*(torch.arange(n).double() for n in SIZE), indexing='ij')
    ways = [], []
    for camera, view in enumerate(views):
        motion = invert(was[camera]) @ body @ now[camera]
        focal = 40 / np.tan(np.radians(view / 2))
        k = torch.tensor([[focal, 0, 39.5], [0, focal, 29.5], [0, 0, 1]])
        rays = torch.stack([(x - 39.5) / focal, (y - 29.5) / focal, torch.ones_like(x)], dim=-1)
        depth = 2 + 3 * torch.rand(1, 1, 3, 4, generator=generator)
        depth = torch.nn.functional.interpolate(depth, SIZE, mode='bicubic').clamp(min=1)
        for way, pose in zip(ways, (invert(motion), motion)):
            points = (rays * depth[0, 0, ..., None]) @ torch.from_numpy(pose[:3, :3]).T
            points = points + torch.from_numpy(pose[:3, 3])
            there = points[..., :2] / points[..., 2:] * focal + torch.tensor([39.5, 29.5])
            flow = there - torch.stack([x, y], dim=-1)
            way.append((depth, flow.permute(2, 0, 1)[None, None].float(), k[None, None]))
    return body, ways, (was, now)


def on_rig(way, body_from_camera, body_from_target):
    depth, flow, k = (torch.cat(parts) for parts in zip(*way))
    single = thin_sightings(depth, flow, torch.ones_like(depth), k, k)
    return on_one_body(single, list(range(len(depth))), body_from_camera, body_from_target)


@settings(max_examples=6)
@given(seeds)
def test_cameras_of_a_rig_move_as_one_body(seed):
    body, (older, newer), (was, now) = rig_pairs(seed % 1000)
    solved = solve_motion(
        on_rig(older, was, now), torch.eye(4).double()[None], on_rig(newer, now, was), SMALL
    )
    assert solved.solved.all()
    check(solved.older_from_newer[0].numpy(), body, 5e-3, 5e-3)


def test_one_camera_of_a_rig_may_see_nothing():
    body, (older, newer), (was, now) = rig_pairs(5)
    sides = [on_rig(older, was, now), on_rig(newer, now, was)]
    for side in sides:
        side.depth[:, 1] = torch.nan
        side.targets[:, 0, ::2] = torch.nan
    solved = solve_motion(sides[0], torch.eye(4).double()[None], sides[1], SMALL)
    assert solved.solved.all()
    check(solved.older_from_newer[0].numpy(), body, 5e-3, 5e-3)


def test_a_camera_that_stands_still_is_told_to():
    """Without motion no direction of translation is known, and the covariance says so."""
    pairs = pose_pairs(4, 0, SIZE, baseline=0.0, movers=0.0)
    pairs = replace(pairs, flow=0.1 * torch.randn(pairs.flow.shape))
    solved = solve(pairs)
    assert solved.solved.all()
    found, known = solved.older_from_newer, solved.covariance
    assert (rotation_angle(found[:, :3, :3].numpy()) < np.radians(0.05)).all()
    length = (found[:, :3, 3] / pairs.median[:, None]).norm(dim=1)
    spread = known.diagonal(dim1=1, dim2=2)[:, :3].sum(dim=1).sqrt() / pairs.median
    assert (length < 1e-3).all()
    assert (length < 4 * spread).all()


def test_a_pure_rotation():
    pairs = pose_pairs(4, 1, SIZE, baseline=0.0, movers=0.2)
    solved = solve(pairs)
    assert solved.solved.all()
    truth = pairs.older_from_newer.numpy()
    found = solved.older_from_newer.numpy()
    off = rotation_angle(np.swapaxes(found[:, :3, :3], 1, 2) @ truth[:, :3, :3])
    assert np.degrees(off).max() < 0.02
    assert np.linalg.norm(found[:, :3, 3] / pairs.median.numpy()[:, None], axis=1).max() < 1e-3


def test_weights_keep_movers_out_even_where_they_are_most_of_the_image():
    pairs = pose_pairs(4, 2, SIZE, baseline=0.05, movers=0.6, mover_distance=(0.7, 1.0))
    solved = solve(pairs, weights=(~pairs.moving).float())
    check(solved.older_from_newer.numpy(), pairs.older_from_newer.numpy(), 5e-3, 5e-3)


def test_what_every_pixel_believed_would_say_is_the_plain_least_squares():
    """One long iteration after another against scipy, depth believed, hardly any robustness."""
    from scipy.optimize import least_squares

    pairs = pose_pairs(1, 3, (24, 32), baseline=0.05, movers=0.0)
    pairs = replace(pairs, flow=pairs.flow + 0.3 * torch.randn(pairs.flow.shape))
    sightings = seen(pairs, 0)
    k = pairs.intrinsics.double().numpy()
    pixels, depth = sightings.pixels.double().numpy(), sightings.depth[0, 0].double().numpy()
    points = np.c_[pixels, np.ones(len(pixels))] @ np.linalg.inv(k).T * depth[:, None]
    targets = sightings.targets[0, 0].double().numpy()

    def misses(vector):
        x, y, z = vector[3:]
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turn = torch.linalg.matrix_exp(torch.from_numpy(cross)).numpy()
        there = (points @ turn.T + vector[:3]) @ k.T
        return (there[:, :2] / there[:, 2:] - targets).ravel()

    best = least_squares(misses, np.zeros(6), xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    believed = MotionSettings(
        iterations=30, depth_error=0.0, softness=1e3, least_inliers=10, greatest_condition=1e9
    )
    newer_from_older = invert(
        solve(pairs, both=False, settings=believed).older_from_newer[0].numpy()
    )
    np.testing.assert_allclose(newer_from_older[:3, 3], best[:3], atol=1e-5)
    x, y, z = best[3:]
    turn = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    expected = torch.linalg.matrix_exp(turn).numpy()
    np.testing.assert_allclose(newer_from_older[:3, :3], expected, atol=1e-5)


SMALLER = (84, 112)


def test_wrong_depths_spoil_rotation_and_direction_little():
    """The error of the depth marginalised, against the depth believed."""
    trial = Trial(flow_error=0.2, movers=0.0, size=SMALLER)
    believed, plain, both = run_trial(trial, 25, 0).values()
    assert np.median(plain.rotation) < 0.3 * np.median(believed.rotation)
    assert np.median(plain.direction) < 0.3 * np.median(believed.direction)
    assert np.median(both.rotation) < 0.8 * np.median(plain.rotation)
    assert abs(np.median(both.length) - 1) < 0.05


@pytest.mark.parametrize('depth_error', [0.0, 0.2])
def test_the_covariance_tells_the_truth(depth_error):
    trial = Trial(depth_error=depth_error, flow_error=0.3, movers=0.1, masked=1.0, size=SMALLER)
    normalised = run_trial(trial, 40, 7, ['both ways'])['both ways'].normalised
    # The median of chi^2 of six degrees of freedom, over six, is 0.89.
    assert 0.7 < np.median(normalised) / 0.89 < 1.35
    assert np.quantile(normalised, 0.9) < 3.7


def test_the_noise_of_the_flow_is_that_of_the_still_pixels():
    pairs = pose_pairs(4, 9, SIZE, baseline=0.05, movers=0.25)
    noise = torch.randn(pairs.flow.shape, generator=torch.Generator().manual_seed(0))
    solved = solve(replace(pairs, flow=pairs.flow + 0.3 * noise))
    np.testing.assert_allclose(solved.flow_noise, 0.3, rtol=0.1)


def test_the_trial_of_the_specification():
    """20 % depth error, 1 px, a quarter moves and nothing tells which, baseline 5 % of depth."""
    outcome = run_trial(Trial(), 25, 3, ['both ways'])['both ways']
    assert np.median(outcome.rotation) < 0.32
    assert np.median(outcome.direction) < 4.0


def test_the_start_counts_where_too_few_pixels_agree():
    pairs = pose_pairs(2, 4, SIZE, baseline=0.05, movers=0.0)
    weights = torch.zeros_like(pairs.depth)
    weights[1] = 1.0
    start = torch.from_numpy(random_pose(np.random.default_rng(0), 0.1, 0.1)).expand(2, 4, 4)
    solved = solve(pairs, start, weights=weights)
    assert solved.solved.tolist() == [False, True]
    assert torch.equal(solved.older_from_newer[0], start[0])
    assert solved.covariance[0].isnan().all()
    assert refusal(solved, 0, SMALL) == '0 pixels agree on a motion, 100 are needed'
    assert refusal(solved, 1, SMALL) == ''


def test_the_start_counts_where_a_motion_is_not_fixed():
    """A distant wall through a long lens: turning and shifting look alike."""
    focal = 1500.0
    k = torch.tensor([[focal, 0, 39.5], [0, focal, 29.5], [0, 0, 1]])[None, None]
    depth = torch.full((1, 1, *SIZE), 10.0)
    flow = torch.ones(1, 1, 2, *SIZE) + 0.1 * torch.randn(1, 1, 2, *SIZE)
    sightings = thin_sightings(depth, flow, torch.ones_like(depth), k, k)
    solved = solve_motion(sightings, torch.eye(4)[None])
    assert not solved.solved.any()
    assert 'does not fix the motion' in refusal(solved, 0)


def test_bodies_of_a_batch_do_not_know_of_each_other():
    pairs = pose_pairs(3, 5, SIZE, baseline=0.05, movers=0.2)
    together = solve(pairs)
    for i in range(3):
        only = PosePairs(*(
            value if name == 'intrinsics' else value[i : i + 1]
            for name, value in vars(pairs).items()
        ))  # fmt: skip
        alone = solve(only)
        assert torch.allclose(alone.older_from_newer[0], together.older_from_newer[i], atol=1e-6)
        assert torch.allclose(alone.covariance[0], together.covariance[i], rtol=1e-3, atol=1e-12)

"""The ray caster against slow references that know nothing but distances to surfaces."""

from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.recording import make_recording
import numpy as np
import pytest


@pytest.fixture(scope='module', params=['room', 'street'])
def recording(request):
    return make_recording(request.param, cameras=4, seconds=1.0, seed=5)


def signed_distance(recording, points, seconds):
    return np.min([body.distance(points, seconds) for body in recording.bodies], axis=0)


def pixel_directions(camera):
    """[h, w, 3], z = 1."""
    y, x = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
    return pixels @ np.linalg.inv(camera.intrinsics).T


def test_depth_equals_sphere_tracing(recording):
    """Walk each ray by the distance to the nearest surface until there is none left to walk."""
    for name in ('front_left', 'right'):
        camera, stamp = recording.cameras[name], recording.stamps(name)[3]
        small = camera.resized(24, 18)
        depth = recording.depth(small, stamp)
        pose = recording.world_from_camera(name, stamp)
        directions = (pixel_directions(small) @ pose[:3, :3].T).reshape(-1, 3)
        norm = np.linalg.norm(directions, axis=-1)
        length = np.zeros(len(directions))
        for _ in range(200):
            points = pose[:3, 3] + length[:, None] * directions
            distance, _ = recording.surfaces(points, stamp)
            length += np.where(distance > 1e-9, distance, 0.0) / norm
        walked = length.reshape(depth.shape)
        near = np.isfinite(depth) & (depth < 40)
        # Rays that pass by within millimetres of an edge converge slowly.
        agree = np.abs(walked[near] - depth[near]) < 1e-4 * depth[near]
        assert agree.mean() > 0.98
        assert (walked[np.isnan(depth)] > 60).all()


def test_occlusion_equals_looking_along_every_line_of_sight(recording):
    """A point is seen when no sample between it and the camera lies inside a body."""
    rng = np.random.default_rng(0)
    total = hidden = disagree = 0
    for name, camera in recording.cameras.items():
        small = camera.resized(64, 48)
        stamp, other = recording.stamps(name)[0], recording.stamps(name)[4]
        seconds = (other - recording.start) * 1e-9
        depth = recording.depth(small, stamp).astype(float)
        _, occluded = recording.flow(small, stamp, other)
        hits = recording.hits(small, stamp).body.reshape(depth.shape)
        directions = pixel_directions(small)
        eye = recording.world_from_camera(name, other)
        for v, u in zip(rng.integers(0, 48, 40), rng.integers(0, 64, 40)):
            if np.isnan(depth[v, u]):
                assert occluded[v, u]
                continue
            motion = recording.bodies[hits[v, u]].motion
            pose = recording.world_from_camera(name, stamp)
            point = pose @ np.append(directions[v, u] * depth[v, u], 1.0)
            before = motion.pose((stamp - recording.start) * 1e-9)
            point = motion.pose(seconds) @ invert(before) @ point
            local = invert(eye) @ point
            x, y, _ = small.intrinsics @ local[:3] / local[2]
            inside = local[2] > 0 and -0.5 <= x <= 63.5 and -0.5 <= y <= 47.5
            share = np.linspace(0.001, 0.999, 1000)[:, None]
            sight = eye[:3, 3] + share * (point[:3] - eye[:3, 3])
            blocked = signed_distance(recording, sight, seconds).min() < -1e-3
            expected = not inside or blocked
            total, hidden = total + 1, hidden + expected
            disagree += expected != occluded[v, u]
    assert total > 90 and hidden > 5
    # Glancing sights graze bodies by less than the millimetre of this reference.
    assert disagree <= 0.01 * total


def test_a_resized_or_cropped_camera_sees_the_same_scene(recording):
    """Depth of a mapped camera is the ray depth at the mapped pixel centres (half a pixel!)."""
    name, camera = next(iter(recording.cameras.items()))
    stamp = recording.stamps(name)[2]
    full = recording.depth(camera, stamp)
    crop = camera.mapped(PixelMap(1, 1, -40, -30), 100, 80)
    assert np.array_equal(recording.depth(crop, stamp), full[30:110, 40:140], equal_nan=True)
    # At a third of the size, centres of pixels are the centres of every third pixel.
    third = recording.depth(camera.mapped(PixelMap(1 / 3, 1 / 3), 90, 70), stamp)
    assert np.allclose(third, full[1:210:3, 1:270:3], rtol=1e-6, equal_nan=True)
    # At twice the size, the middle of four pixels is the centre of the old one: so is the depth
    # of a plane there, in inverse depth.
    twice = recording.depth(camera.resized(2 * camera.width, 2 * camera.height), stamp)
    inverse = 1 / twice.reshape(camera.height, 2, camera.width, 2).astype(float)
    apart = np.abs(inverse.mean(axis=(1, 3)) * full - 1)
    assert np.nanpercentile(apart, 75) < 1e-6


def test_depth_puts_pixels_on_the_surfaces(recording):
    for name, camera in recording.cameras.items():
        stamp = recording.stamps(name)[7]
        depth = recording.depth(camera, stamp)
        valid = np.isfinite(depth)
        pose = recording.world_from_camera(name, stamp)
        points = (pixel_directions(camera) * depth[..., None])[valid]
        distance, mover = recording.surfaces(points @ pose[:3, :3].T + pose[:3, 3], stamp)
        # float32 depth resolves 6e-8 of itself.
        assert (distance <= 1e-6 + 1e-7 * depth[valid]).all()
        hits = recording.hits(camera, stamp).body.reshape(depth.shape)[valid]
        moves = np.array([body.motion.moves for body in recording.bodies])
        assert np.array_equal(mover, moves[hits])

"""Rooms, streets and rigs: what a demonstration and a training set need of them."""

from fourd_perception.synthetic.recording import make_recording
from fourd_perception.synthetic.rigs import make_rig
import numpy as np
import pytest

SEEDS = range(6)


def skin_points(body, seconds):
    """World points [N, 3] on the surface of a body."""
    directions = np.random.default_rng(0).standard_normal((3, 400))
    with np.errstate(divide='ignore', invalid='ignore'):
        _, far = body.form.interval(np.zeros(3), directions, np.array(body.half_size))
    pose = body.motion.pose(seconds)
    return (pose[:3, :3] @ (directions * far) + pose[:3, 3:]).T


@pytest.mark.parametrize('kind', ['room', 'street'])
@pytest.mark.parametrize('seed', SEEDS)
def test_movers_touch_nothing_that_stands_still(kind, seed):
    recording = make_recording(kind, seconds=4.0, seed=seed)
    standing = [body for body in recording.bodies if not body.motion.moves]
    movers = [body for body in recording.bodies if body.motion.moves]
    assert len(movers) >= 5
    for seconds in np.linspace(0, 4.0, 9):
        points = np.concatenate([skin_points(body, seconds) for body in movers])
        assert min(body.distance(points).min() for body in standing) > 0.02


@pytest.mark.parametrize('kind', ['room', 'street'])
@pytest.mark.parametrize('seed', SEEDS)
def test_nothing_comes_close_to_a_camera(kind, seed):
    recording = make_recording(kind, seconds=4.0, seed=seed)
    for name in recording.cameras:
        for stamp in recording.stamps(name)[::4]:
            centre = recording.world_from_camera(name, stamp)[:3, 3]
            assert recording.surfaces(centre[None], stamp)[0] > 0.35


@pytest.mark.parametrize('seed', SEEDS)
def test_every_pixel_of_a_room_has_a_depth_and_the_street_has_a_sky(seed):
    room, street = (make_recording(kind, seconds=2.0, seed=seed) for kind in ('room', 'street'))
    for name, camera in room.cameras.items():
        assert np.isfinite(room.depth(camera.resized(80, 60), room.stamps(name)[9])).all()
    camera = street.cameras['front_left'].resized(80, 60)
    sky = np.isnan(street.depth(camera, street.stamps('front_left')[9]))
    assert 0.02 < sky.mean() < 0.6
    assert not sky[-20:].any()


@pytest.mark.parametrize('kind', ['room', 'street'])
def test_movers_are_in_view_most_of_the_time_and_clearly_move(kind):
    recording = make_recording(kind)
    in_view, shares, fast = [], [], []
    for name, camera in recording.cameras.items():
        stamps = recording.stamps(name)
        moves = np.array([body.motion.moves for body in recording.bodies] + [False])
        for k in range(4, 40, 7):
            own_motion = recording.own_motion(camera, stamps[k], stamps[k - 3 : k])
            mover = moves[recording.hits(camera, stamps[k]).body].reshape(own_motion.shape)
            in_view.append(mover.any())
            shares.append(mover.mean())
            fast.append(own_motion[mover] > 1)
    assert np.mean(in_view) > 0.8
    assert 0.02 < np.mean(shares) < 0.25
    assert np.concatenate(fast).mean() > 0.98


@pytest.mark.parametrize('kind', ['room', 'street'])
def test_images_are_well_exposed_and_textured_down_to_the_pixel(kind):
    recording = make_recording(kind, seconds=0.5, seed=1)
    for name in recording.cameras:
        image = recording.image(name, recording.stamps(name)[2]).astype(float)
        assert 70 < image.mean() < 190
        assert image.std() > 20
        assert (image.max(axis=-1) == 255).mean() < 0.15
        assert (image.max(axis=-1) < 10).mean() < 0.05
        steps = np.abs(np.diff(image.mean(axis=-1), axis=1))
        # Something changes from pixel to pixel nearly everywhere, and a lot in places.
        assert np.percentile(steps, 50) > 0.8
        assert np.percentile(steps, 95) > 8


@pytest.mark.parametrize('kind', ['room', 'street'])
@pytest.mark.parametrize('count', range(1, 9))
def test_a_rig_of_any_size_has_wide_baselines_and_overlap(kind, count):
    recording = make_recording(kind, cameras=count, seconds=0.2)
    assert len(recording.cameras) == count
    assert len({camera.frame_id for camera in recording.cameras.values()}) == count
    if count == 1:
        return
    centres = np.stack([c.base_from_camera[:3, 3] for c in recording.cameras.values()])
    depths = [
        recording.depth(camera.resized(40, 30), recording.stamps(name)[0])
        for name, camera in recording.cameras.items()
    ]
    baselines = np.linalg.norm(centres - centres[:1], axis=1)
    assert baselines.max() > 0.1 * np.nanmedian(depths)
    views = [c.base_from_camera[:3, 2] for c in recording.cameras.values()]
    for i, view in enumerate(views):
        nearest = max(view @ other for j, other in enumerate(views) if j != i)
        assert np.degrees(np.arccos(nearest)) < 70


def test_rigs_have_cameras_of_different_sizes_one_of_them_portrait():
    sizes = [(camera.width, camera.height) for camera in make_rig('room', 4).values()]
    assert len(set(sizes)) == 4
    assert sum(width < height for width, height in sizes) == 1
    assert max(max(size) for size in sizes) <= 320


def test_unknown_kinds_and_sizes_are_refused_with_the_limits():
    with pytest.raises(ValueError, match="'forest'.*room.*street"):
        make_recording('forest')
    for count in (0, 9):
        with pytest.raises(ValueError, match=f'1 to 8.*{count}'):
            make_recording('room', cameras=count)

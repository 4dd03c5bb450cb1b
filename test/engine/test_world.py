"""Windows of random gauge and scale become one continuous metric world."""

from dataclasses import dataclass, field, replace

from fourd_perception.engine.settings import EngineSettings
from fourd_perception.engine.window_prediction import WindowPrediction
from fourd_perception.engine.world import World
from fourd_perception.geometry.poses import invert, nearest_rotation, rotation_angle, transform
import numpy as np
import pytest
import torch

LENGTH = 4
PERIOD = 100_000_007
START = 1_700_000_000_123_456_789
CAMERAS = ('front', 'left', 'back', 'right')
EVERYONE = frozenset(CAMERAS)


def random_rotation(rng, angle=np.pi):
    return nearest_rotation(np.eye(3) + angle * rng.normal(size=(3, 3)))


@dataclass
class Walk:
    """A rig that walks; every window of it in a gauge and a scale of its own.

    seen:   the cameras present at each step
    noise:  of predicted positions (gauge units), rotations (radians), log depth
    posed:  the cameras whose place on the rig is known
    """

    seed: int = 0
    seen: list = field(default_factory=lambda: [EVERYONE] * 12)
    noise: float = 0.0
    posed: frozenset = EVERYONE
    fixed: bool = False

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.rig = {name: transform(random_rotation(rng), rng.normal(size=3)) for name in CAMERAS}
        self.base = [transform(random_rotation(rng), rng.normal(size=3))]
        for _ in self.seen[1:]:
            step = transform(random_rotation(rng, 0.05), rng.normal(scale=0.2, size=3))
            self.base.append(np.eye(4) if self.fixed else self.base[-1] @ step)
        if self.fixed:
            self.base[0] = np.eye(4)
        self.depth = {
            (name, k): rng.uniform(1, 9, (5, 6)) for name in CAMERAS for k in range(len(self.seen))
        }

    def camera(self, name, k):
        """world_from_camera of the true world."""
        return self.base[k] @ self.rig[name]

    def windows(self, first=0):
        """For every step its window, and the scale drawn for it."""
        for k in range(first, len(self.seen)):
            yield self.window(range(max(first, k - LENGTH + 1), k + 1))

    def window(self, steps):
        rng = np.random.default_rng([self.seed, steps[-1]])
        scale = float(np.exp(rng.uniform(-2, 2)))
        gauge = transform(random_rotation(rng), rng.normal(scale=10, size=3))
        cells = [
            (v, t, name, k)
            for v, name in enumerate(CAMERAS)
            for t, k in enumerate(steps)
            if name in self.seen[k]
        ]
        poses = np.stack([gauge @ self.camera(name, k) for _, _, name, k in cells])
        poses[:, :3, 3] /= scale
        poses[:, :3, 3] += self.noise * rng.normal(size=(len(cells), 3))
        for pose in poses:
            pose[:3, :3] = pose[:3, :3] @ random_rotation(rng, self.noise)
        depth = np.stack([self.depth[name, k] for _, _, name, k in cells]) / scale
        depth *= np.exp(self.noise * rng.normal(size=depth.shape))
        unknown = np.full((4, 4), np.nan)
        newest = [v for v, t, _, _ in cells if t == len(steps) - 1]
        window = WindowPrediction(
            keys=tuple((name, START + k * PERIOD) for _, _, name, k in cells),
            view=np.array([cell[0] for cell in cells]),
            time=np.array([cell[1] for cell in cells]),
            gauge_from_camera=poses,
            base_from_camera=np.stack(
                [self.rig[name] if name in self.posed else unknown for _, _, name, _ in cells]
            ),
            depth=torch.from_numpy(depth),
            confidence=torch.from_numpy(rng.uniform(1, 2, depth.shape)).float(),
            focal_factor=np.ones((4, len(steps))),
            shape=(4, len(steps)),
            reference=min(newest),
            fixed=self.fixed,
        )
        return window, scale

    def reference(self, k):
        """The camera that leads at step k: the first that is there."""
        return next(name for name in CAMERAS if name in self.seen[k])


def settings(**changes):
    return EngineSettings(window_length=LENGTH, min_baseline_ratio=0.01, **changes)


def check(found, truth, metres=1e-9, degrees=1e-7):
    assert np.linalg.norm(found[:3, 3] - truth[:3, 3]) < metres
    assert np.degrees(rotation_angle(found[:3, :3].T @ truth[:3, :3])) < degrees


def follow(walk, world=None):
    """Extend a world by the whole walk; yields step, true scale, poses found."""
    world = world or World(settings())
    for k, (window, scale) in enumerate(walk.windows()):
        yield k, scale, world.extend(window)


def test_four_hundred_windows_end_where_they_should():
    """The world starts at the base of the first slice; every pose stays exact in it."""
    walk = Walk(seen=[EVERYONE] * 400)
    start = invert(walk.base[0])
    for k, scale, poses in follow(walk):
        assert poses.reset == ''
        assert poses.rig_known
        assert (poses.scale.source, poses.scale.reason) == ('rig', '')
        assert poses.scale.value == pytest.approx(scale, rel=1e-9)
        check(poses.world_from_base, start @ walk.base[k])
        for v, name in enumerate(CAMERAS):
            check(poses.world_from_camera[v, -1], start @ walk.camera(name, k))


def test_cameras_die_and_revive_the_reference_among_them_and_nothing_breaks():
    rng = np.random.default_rng(5)
    seen = [EVERYONE] * 3 + [
        frozenset(rng.choice(CAMERAS, size=rng.integers(1, 5), replace=False)) for _ in range(100)
    ]
    walk = Walk(seen=seen)
    start = invert(walk.base[0])
    for k, scale, poses in follow(walk):
        assert poses.reset == ''
        assert poses.scale.metric
        assert poses.scale.value == pytest.approx(scale, rel=1e-9)
        check(poses.world_from_base, start @ walk.base[k])
        present = [name in walk.seen[k] for name in CAMERAS]
        np.testing.assert_array_equal(
            np.isfinite(poses.world_from_camera[:, -1]).all(axis=(1, 2)), present
        )


def test_down_to_one_camera_the_scale_is_carried_over_and_then_found_again():
    one = [frozenset({'left'})] * 10
    walk = Walk(seen=[EVERYONE] * 5 + one + [EVERYONE] * 5)
    start = invert(walk.base[0])
    sources = []
    for k, scale, poses in follow(walk):
        assert poses.scale.value == pytest.approx(scale, rel=1e-9)
        check(poses.world_from_base, start @ walk.base[k])
        sources.append(poses.scale.source)
        if poses.scale.source == 'chain':
            assert 'no two cameras' in poses.scale.reason
    carried = LENGTH - 1  # slices with all cameras still in the window
    assert sources == ['rig'] * (5 + carried) + ['chain'] * (10 - carried) + ['rig'] * 5


def test_a_rig_that_is_not_known_goes_on_in_the_unit_of_the_first_window():
    """The world is the first reference camera's frame, the unit the first gauge's."""
    walk = Walk(seen=[EVERYONE] * 60, posed=frozenset())
    start = invert(walk.camera('front', 0))
    unit = None
    for k, scale, poses in follow(walk):
        unit = unit or scale
        assert poses.reset == ''
        assert not poses.rig_known
        assert not poses.scale.metric
        assert 'TF is silent' in poses.scale.reason
        assert np.isnan(poses.scale.spread)
        assert poses.scale.value == pytest.approx(scale / unit, rel=1e-9)
        truth = start @ walk.camera('front', k)
        truth[:3, 3] /= unit
        check(poses.world_from_base, truth)


def test_one_camera_alone_is_chained_too():
    walk = Walk(seen=[frozenset({'back'})] * 30, posed=frozenset())
    first = None
    for k, scale, poses in follow(walk):
        first = first or scale
        truth = invert(walk.camera('back', 0)) @ walk.camera('back', k)
        truth[:3, 3] /= first
        check(poses.world_from_base, truth)


def test_a_camera_without_a_known_place_is_put_into_the_same_metric_world():
    walk = Walk(posed=frozenset({'front', 'left', 'right'}))
    start = invert(walk.base[0])
    for k, _, poses in follow(walk):
        check(poses.world_from_camera[CAMERAS.index('back'), -1], start @ walk.camera('back', k))


def test_in_a_fixed_frame_the_world_is_that_frame_and_never_begins_anew():
    nobody_in_common = [frozenset({'front', 'back'})] + [frozenset({'left'})] * 8
    walk = Walk(seen=nobody_in_common, fixed=True)
    for k, scale, poses in follow(walk):
        assert poses.reset == ''
        assert poses.fixed
        np.testing.assert_allclose(poses.world_from_base, np.eye(4), atol=1e-12)
        for v, name in enumerate(CAMERAS):
            if name in walk.seen[k]:
                check(poses.world_from_camera[v, -1], walk.rig[name])
        assert poses.scale.value == pytest.approx(scale, rel=1e-9)


def test_in_a_fixed_frame_cameras_of_different_slices_fix_the_scale_together():
    walk = Walk(seen=[frozenset({name}) for name in CAMERAS], fixed=True)
    sources = [poses.scale.source for _, _, poses in follow(walk)]
    assert sources == ['none', 'rig', 'rig', 'rig']


def test_after_a_gap_nothing_is_shared_and_the_world_begins_anew_with_the_reason():
    walk = Walk()
    world = World(settings())
    for _ in follow(walk, world):
        pass
    window, _ = walk.window(range(1))
    keys = tuple((camera, stamp + 10**12) for camera, stamp in window.keys)
    poses = world.extend(replace(window, keys=keys))
    assert 'no frame is shared' in poses.reset
    np.testing.assert_allclose(poses.world_from_base, np.eye(4), atol=1e-12)


def test_when_lengths_become_metric_the_world_begins_anew():
    """TF comes late: the first windows have no scale."""
    walk = Walk(posed=frozenset())
    windows = list(walk.windows())
    walk.posed = EVERYONE
    known = list(walk.windows())
    world = World(settings())
    for window, _ in windows[:5]:
        assert not world.extend(window).scale.metric
    poses = world.extend(known[5][0])
    assert poses.scale.source == 'rig'
    assert 'lengths are metres from here on' in poses.reset
    np.testing.assert_allclose(poses.world_from_base, np.eye(4), atol=1e-12)
    assert world.extend(known[6][0]).reset == ''


def test_when_tf_falls_silent_scale_and_world_are_carried_over():
    walk = Walk()
    known = list(walk.windows())
    walk.posed = frozenset()
    silent = list(walk.windows())
    world = World(settings())
    for window, _ in known[:6]:
        world.extend(window)
    start = invert(walk.base[0])
    for k in range(6, 12):
        poses = world.extend(silent[k][0])
        assert poses.reset == ''
        assert poses.scale.source == 'chain'
        assert poses.scale.value == pytest.approx(silent[k][1], rel=1e-9)
        assert not poses.rig_known  # the base cannot be told, the reference camera can
        check(poses.world_from_base, start @ walk.camera('front', k))


def test_a_scale_that_the_rig_does_not_support_is_refused_and_the_rig_still_keeps_its_shape():
    walk = Walk(noise=2.0)
    world = World(settings())
    for window, _ in walk.windows():
        poses = world.extend(window)
        assert poses.scale.source == 'none'
        assert 'fit the known rig' in poses.scale.reason
        rigid = invert(poses.world_from_base) @ poses.world_from_camera[:, -1]
        for v, name in enumerate(CAMERAS):
            check(rigid[v], walk.rig[name])


def test_noise_gives_a_covariance_that_grows_with_the_chain():
    walk = Walk(seen=[EVERYONE] * 40, noise=0.002)
    variances = []
    for _, _, poses in follow(walk):
        variances.append(poses.covariance.diagonal())
        assert poses.scale.source == 'rig'
    variances = np.array(variances)
    assert variances.shape == (40, 6)
    assert (variances[-1] > variances[5]).all()
    error = invert(walk.base[0]) @ walk.base[-1] - poses.world_from_base
    assert np.linalg.norm(error[:3, 3]) < 10 * np.sqrt(variances[-1, :3].sum())


def test_the_spread_of_a_carried_scale_grows():
    seen = [EVERYONE] * 3 + [frozenset({'left'})] * 12
    spreads = [p.scale.spread for _, _, p in follow(Walk(seen=seen, noise=0.002))]
    assert spreads[-1] > spreads[8] > spreads[2] > 0


def test_a_window_without_any_pose_gives_none_and_leaves_the_chain_as_it_is():
    walk = Walk()
    world = World(settings())
    for k, (window, _) in enumerate(walk.windows()):
        if k != 6:
            poses = world.extend(window)
            assert poses.reset == ''
            check(poses.world_from_base, invert(walk.base[0]) @ walk.base[k])
            continue
        nothing = {'keys': (), 'view': window.view[:0], 'time': window.time[:0]}
        nothing |= {'gauge_from_camera': np.empty((0, 4, 4)), 'depth': window.depth[:0]}
        nothing |= {'base_from_camera': np.empty((0, 4, 4)), 'confidence': window.confidence[:0]}
        poses = world.extend(replace(window, **nothing))
        assert poses.world_from_base is None
        assert poses.covariance is None
        assert np.isnan(poses.world_from_camera).all()

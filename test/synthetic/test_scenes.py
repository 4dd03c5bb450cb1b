"""Generated clips: a function of the seed in every batch, as varied as the recipe asks."""

from __future__ import annotations

from dataclasses import fields

from fourd_perception.geometry.clips import Clips, DYNAMIC, STATIC
from fourd_perception.synthetic.generator.bodies import (
    ABSENT,
    BOX,
    CYLINDER,
    DOME,
    ELLIPSOID,
    HELD_OUT_SHAPES,
    WEDGE,
)
from fourd_perception.synthetic.generator.compose import camera_poses, compose
from fourd_perception.synthetic.generator.draws import Draws
from fourd_perception.synthetic.generator.movers import FIRST_INSTANCE
from fourd_perception.synthetic.generator.tiles import FAMILIES, HELD_OUT, PER_FAMILY
from fourd_perception.synthetic.scenes import generate, SceneSpec, SETTINGS
import numpy as np
import pytest
import torch

SMALL = SceneSpec(size=(32, 48), instants=2, tracks=5)
MANY = 250


def equal(a: Clips, b: Clips) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(Clips)]
    return all(
        x.dtype == y.dtype and torch.equal(x.nan_to_num(9), y.nan_to_num(9)) for x, y in pairs
    )


def scenes(spec: SceneSpec, count: int = MANY, first: int = 0):
    return compose(Draws.of(range(first, first + count)), spec)


def test_a_clip_is_the_same_in_every_batch_and_in_every_call():
    seeds = [5, 2**63 + 11, 7, 1]
    together = generate(seeds, SMALL)
    for place in (0, 1, 3):
        assert equal(generate([seeds[place]], SMALL), together[place : place + 1])
    assert equal(generate(seeds[::-1], SMALL), together[torch.tensor([3, 2, 1, 0])])
    assert not equal(together[:1], together[2:3])


@pytest.mark.parametrize('setting', SETTINGS)
def test_clips_of_every_setting_are_whole(setting):
    views = 3 if setting == 'rig' else 1
    clips = generate([3, 4], SceneSpec((32, 48), views, 3, setting))
    assert clips.images.shape == (2, views, 3, 3, 32, 48) and clips.images.dtype == torch.uint8
    assert clips.present.all() and clips.metric.all()
    assert (clips.seconds.diff(dim=2) > 0).all()
    assert (clips.depth.isnan() | (clips.depth > 0)).all()
    turned = clips.world_from_camera[..., :3, :3].double()
    assert torch.allclose(turned @ turned.mT, torch.eye(3).double(), atol=1e-5)
    # The same camera throughout a clip; all views at the same instants.
    assert torch.equal(clips.intrinsics[:, :, :1].expand_as(clips.intrinsics), clips.intrinsics)
    assert torch.equal(clips.seconds[:, :1].expand_as(clips.seconds), clips.seconds)
    assert clips.images.float().std((3, 4, 5)).min() > 1
    if setting == 'still':
        assert clips.world_from_camera.diff(dim=2).abs().max() == 0
        still = clips.dynamic[:, :, :-1] == STATIC
        known = clips.flow_forward[:, :, :-1].abs().amax(3)
        assert known[still].nanmedian() < 1e-4
    if setting == 'rig':
        assert clips.world_from_camera.diff(dim=1).abs().amax((0, 2, 3, 4)).min() > 0.01


def test_without_movers_nothing_is_dynamic():
    clips = generate(range(10, 18), SceneSpec((32, 48), 1, 3, movers=False))
    assert (clips.dynamic == STATIC).all() and (clips.instances < FIRST_INSTANCE).all()


def test_shares_are_those_of_the_recipe():
    drawn = scenes(SceneSpec(instants=3))
    poses = camera_poses(drawn.rig, drawn.mounts, drawn.seconds[..., None])[:, 0, :, 0]
    still = (np.abs(np.diff(poses, axis=1)).max((1, 2, 3)) == 0).mean()
    movers = (drawn.bodies.kind != ABSENT) & (drawn.bodies.instance >= FIRST_INSTANCE)
    k = drawn.intrinsics[:, 0]
    field = np.degrees(2 * np.arctan(64 / k[:, 0, 0]))
    shares = {
        'still': (still, 0.20),
        'nothing moves': (1 - movers.any(1).mean(), 0.25),
        'blurred': ((drawn.exposure > 0).mean(), 0.30),
    }
    for name, (found, wanted) in shares.items():
        # Three standard deviations of a share of so many; a few movers are dropped near cameras.
        assert found == pytest.approx(wanted, abs=3 * np.sqrt(wanted / MANY)), name
    assert field.min() > 34.9 and field.max() < 110.1 and np.ptp(field) > 60
    objects = [
        len(set(n[(n > 0) & (kind != ABSENT)]))
        for n, kind in zip(drawn.bodies.instance, drawn.bodies.kind)
    ]
    assert np.percentile(objects, 2) >= 5 and 40 < max(objects) <= 80
    # Half of the principal points are more than a hundredth of the width from the middle.
    assert 0.2 < (np.abs(k[:, 0, 2] - 63.5) > 1.28).mean() and np.abs(k[:, 0, 2] - 63.5).max() < 33


def test_motions_are_of_all_lengths_and_many_are_below_a_pixel():
    clips = generate(range(100, 164), SceneSpec((32, 48), 1, 2))
    flow = clips.flow_forward[:, 0, 0].norm(dim=1)
    mean = flow.flatten(1).nanmean(1)
    going = mean[(flow.flatten(1) > 0.01).float().mean(1) > 0.5]
    # Log-uniform from .1 to 24 px: the same share in each of its thirds.
    edges = torch.tensor([0.0, 0.62, 3.9, 1e9])
    thirds = torch.histogram(going, edges).hist / len(going)
    assert (thirds > 0.2).all() and (thirds < 0.5).all()
    assert (flow < 1).float().mean() > 0.3 and flow.nanmean() > 2
    assert (clips.dynamic == DYNAMIC).any((1, 2, 3, 4)).float().mean() > 0.3


@pytest.mark.parametrize('held_out', [False, True])
def test_families_kept_out_of_training_never_appear_in_it(held_out):
    drawn = scenes(SceneSpec(held_out=held_out))
    names = np.array(tuple(FAMILIES))
    families = set(names[drawn.materials.tile // PER_FAMILY].ravel())
    assert families == (set(HELD_OUT) if held_out else set(FAMILIES) - set(HELD_OUT))
    things = drawn.bodies.instance > 0
    kinds = set(drawn.bodies.kind[things].tolist()) - {ABSENT}
    if held_out:
        # Houses, doors and the like are walls of the place.
        assert set(HELD_OUT_SHAPES) <= kinds <= {*HELD_OUT_SHAPES, BOX}
    else:
        assert kinds == {BOX, ELLIPSOID, CYLINDER}
    assert HELD_OUT_SHAPES == (WEDGE, DOME)


@pytest.mark.parametrize('views', [2, 4, 8])
def test_rigs_stay_in_their_rooms(views):
    spec = SceneSpec(size=(32, 48), views=views, instants=4, setting='rig')
    drawn = scenes(spec, 100)
    poses = camera_poses(drawn.rig, drawn.mounts, drawn.seconds[..., None])
    centres = poses[..., 0, :3, 3].reshape(100, -1, 3)
    # The second body of a room is its shell, seen from inside.
    rooms = drawn.bodies.surface[:, 1] == 1
    rooms &= drawn.bodies.place[:, 1, 2] < 5
    shell = drawn.bodies.half[:, 1, :2]
    outside = (np.abs(centres[..., :2]) > shell[:, None]).any((1, 2))
    assert rooms.sum() > 30
    assert outside[rooms & (drawn.bodies.half[:, 1, 0] < 20)].mean() < 0.03
    assert (centres[..., 2] > 0).mean() > 0.99


@pytest.mark.parametrize(
    'wrong, words',
    [
        ({'size': (100, 128)}, 'multiples of 16'),
        ({'views': 9}, '1 to 8'),
        ({'instants': 0}, '1 or more'),
        ({'setting': 'moon'}, "'moon'.*street"),
        ({'tracks': -1}, '0 or more'),
    ],
)
def test_what_cannot_be_generated_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        SceneSpec(**wrong)

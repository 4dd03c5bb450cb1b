"""The frozen validation set: found again as it was, and apart from what trainings draw."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.clips import DYNAMIC
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.synthetic.validation import (
    contents_of,
    FILE,
    frozen_settings,
    validation_clips,
    with_contents,
    write_contents,
)
import pytest
import torch


def test_four_settings_of_64_clips_and_one_of_what_is_kept_out_of_training():
    settings = frozen_settings()
    assert list(settings) == ['hand_held', 'rig', 'still', 'street', 'held_out']
    seeds = [frozen.seed + k for frozen in settings.values() for k in range(frozen.clips)]
    assert len(set(seeds)) == 5 * 64 and max(seeds) < 2**31
    for name, frozen in settings.items():
        assert frozen.spec.held_out == (name == 'held_out')
        if name != 'held_out':
            assert frozen.spec.setting == name


@pytest.mark.parametrize('setting', list(frozen_settings()))
def test_a_clip_with_movers_is_as_it_was_frozen(setting):
    frozen = frozen_settings()[setting]
    found = contents_of([validation_clips(setting, [frozen.mover])])
    assert found.like(frozen.example) and frozen.example.with_movers
    assert not replace(found, depth=tuple(1.1 * d for d in found.depth)).like(frozen.example)


@pytest.mark.parametrize(
    'change',
    [
        lambda images: 0.9 * images,
        lambda images: images.flip(-3),  # red is blue
        lambda images: 0.8 * images + 0.2 * images.mean((-2, -1), keepdim=True),
    ],
)
def test_other_light_or_colours_are_not_as_frozen(change):
    clips = generate(range(4), SceneSpec(size=(32, 48), instants=2))
    other = replace(clips, images=change(clips.images.float()).round().to(torch.uint8))
    assert contents_of([clips]).like(contents_of([clips]))
    assert not contents_of([other]).like(contents_of([clips]))


def test_clips_are_chosen_by_number_and_size():
    few = validation_clips('street', [5, 2], size=(32, 48))
    frozen = frozen_settings()['street']
    spec = SceneSpec((32, 48), frozen.spec.views, frozen.spec.instants, 'street')
    again = generate([frozen.seed + 2], spec)
    assert torch.equal(few.images[1:], again.images)
    with pytest.raises(ValueError, match="'moon'.*hand_held"):
        validation_clips('moon')
    with pytest.raises(ValueError, match='0 to 63'):
        validation_clips('rig', [64])


def test_contents_are_those_of_the_clips(tmp_path):
    clips = generate(range(4), SceneSpec(size=(32, 48), instants=2))
    contents = contents_of([clips[:1], clips[1:]])
    flow = clips.flow_forward.double().norm(dim=3)
    known = flow[flow.isfinite()]
    assert contents.flow[2] == pytest.approx(known.median().item(), rel=0.01)
    assert contents.below_a_pixel == pytest.approx((known < 1).double().mean().item(), rel=0.01)
    assert contents.sky == pytest.approx(clips.depth.isnan().double().mean().item(), rel=0.01)
    moving = (clips.dynamic == DYNAMIC).double().mean((1, 2, 3, 4))
    assert contents.moving == pytest.approx(moving.mean().item(), rel=0.01)
    assert contents.with_movers == (moving > 0.001).double().mean().item()
    channels = clips.images.double().movedim(3, 0).flatten(1)
    assert contents.colour == pytest.approx(channels.mean(1).tolist(), rel=0.01)
    assert contents.contrast == pytest.approx(channels.std(1).tolist(), rel=0.01)


def test_what_is_found_is_written_into_the_file(tmp_path):
    clips = generate(range(6), SceneSpec(size=(32, 48), instants=2))
    some = [clips[k : k + 1] for k in range(6)]
    moving = [contents_of([clip]).with_movers for clip in some]
    # The ones without movers first.
    some = [clip for _, clip in sorted(zip(moving, some), key=lambda pair: pair[0])]
    found = with_contents(frozen_settings()['rig'], some)
    assert 0 < found.mover == moving.count(0)
    assert found.example == contents_of([some[found.mover]])
    path = tmp_path / 'validation.yaml'
    path.write_text(FILE.read_text())
    write_contents({'rig': found}, path)
    assert frozen_settings(path)['rig'] == found
    assert frozen_settings(path)['still'] == frozen_settings()['still']

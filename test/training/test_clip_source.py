"""Clips from generated scenes, few or many, and from data sets by weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
import sys

import cv2
from fourd_perception.datasets.catalogue import AbsentDataSet
from fourd_perception.datasets.files import DataSetError
from fourd_perception.geometry.clips import Clips, unlabelled
from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.training.clip_source import (
    clip_source,
    ClipRequest,
    DataSetShare,
    SourceSettings,
)
from fourd_perception.training.plain_values import built, plain
from fourd_perception.training.sample_seeds import FIRST
from fourd_perception.training.scene_memory import ROUND, scene_of, SceneMemory
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'datasets'))

from miniature import Miniature
from test_sintel import write_sintel

CPU = torch.device('cpu')
REQUEST = ClipRequest((16, 32), views=1, instants=2)
SPEC = SceneSpec((16, 32), 1, 2)
SEEDS = tuple(range(2**31, 2**31 + 8))


def davis(root: Path) -> DataSetShare:
    """A video of grey images in the layout of DAVIS."""
    for kind, suffix in (('JPEGImages', 'jpg'), ('Annotations', 'png')):
        folder = root / kind / '480p' / 'grey'
        folder.mkdir(parents=True)
        for i in range(3):
            value = 128 if suffix == 'jpg' else 0
            cv2.imwrite(str(folder / f'{i:05}.{suffix}'), np.full((24, 48), value, np.uint8))
    (root / 'ImageSets' / '2017').mkdir(parents=True)
    (root / 'ImageSets' / '2017' / 'train.txt').write_text('grey\n')
    return DataSetShare('davis', root, 1.0)


def is_grey(clips: torch.Tensor) -> list[bool]:
    return [bool((abs(clip.int() - 128) < 4).all()) for clip in clips]


def test_generated_scenes_are_those_of_the_seeds():
    drawn = clip_source(SourceSettings())(SEEDS[:2], REQUEST, CPU)
    assert torch.equal(drawn.images, generate(SEEDS[:2], SPEC).images)


def test_a_few_scenes_are_seen_again_and_again():
    drawn = clip_source(SourceSettings(scenes=(5, 9)))(SEEDS[:4], REQUEST, CPU)
    few = generate([5, 9], SPEC)
    assert torch.equal(drawn.images, few.images[[0, 1, 0, 1]])


def test_what_a_seed_gives_does_not_depend_on_the_seeds_beside_it(tmp_path):
    source = clip_source(SourceSettings(data_sets=(davis(tmp_path / 'davis'),)))
    together = source(SEEDS, REQUEST, CPU)
    assert len(together) == 8 and set(is_grey(together.images)) == {True, False}
    for i, seed in enumerate(SEEDS):
        assert torch.equal(source([seed], REQUEST, CPU).images[0], together.images[i])


def test_weights_decide_how_often_each_comes(tmp_path):
    share = davis(tmp_path / 'davis')
    sets = SourceSettings(generated=1.0, data_sets=(replace(share, weight=7.0),))
    often = is_grey(clip_source(sets)(tuple(range(2**31, 2**31 + 64)), REQUEST, CPU).images)
    assert 0.7 < np.mean(often) < 1
    alone = clip_source(SourceSettings(generated=0.0, data_sets=(share,)))
    assert all(is_grey(alone(SEEDS, REQUEST, CPU).images))


def test_an_absent_set_is_named_and_skipped_only_when_asked(tmp_path):
    absent = DataSetShare('kubric', tmp_path / 'nowhere')
    with pytest.raises(AbsentDataSet, match='kubric'):
        clip_source(SourceSettings(data_sets=(absent,)))
    with pytest.warns(UserWarning, match='kubric'):
        source = clip_source(SourceSettings(data_sets=(absent,), skip_absent=True))
    assert torch.equal(source(SEEDS[:1], REQUEST, CPU).images, generate(SEEDS[:1], SPEC).images)
    both = SourceSettings(data_sets=(absent, davis(tmp_path / 'davis')), skip_absent=True)
    with pytest.warns(UserWarning, match='kubric'):
        assert any(is_grey(clip_source(both)(SEEDS, REQUEST, CPU).images))


def of_sintel(root: Path, **more: object) -> SourceSettings:
    """As a configuration names the one data set."""
    data_set = {'name': 'sintel', 'root': str(root), **more}
    return built(SourceSettings, {'generated': 0.0, 'data_sets': [data_set]}, 'task.source')


def test_a_data_set_is_opened_with_its_options(tmp_path):
    write_sintel(tmp_path, Miniature((48, 64)))
    as_it_is = clip_source(of_sintel(tmp_path))(SEEDS[:1], REQUEST, CPU)
    (tmp_path / 'training/final').rename(tmp_path / 'training/clean')
    with pytest.raises(DataSetError, match='training/final'):
        clip_source(of_sintel(tmp_path))
    clean = of_sintel(tmp_path, options={'rendering': 'clean'})
    assert torch.equal(clip_source(clean)(SEEDS[:1], REQUEST, CPU).images, as_it_is.images)
    assert built(SourceSettings, plain(clean), 'again') == clean


@pytest.mark.parametrize(
    ('more', 'told'),
    [
        ({'options': {'camera': 'left'}}, "no option 'camera'; it takes rendering"),
        ({'options': {'rendering': 3}}, 'rendering of data set sintel is 3; give a word'),
        ({'options': ['clean']}, r"options is \['clean'\]; give names and values"),
        ({'name': 'tum_rgbd', 'options': {'camera': 1}}, "no option 'camera'; it takes none"),
        ({'name': 'co3d', 'options': {'categories': 'apple'}}, "is 'apple'; give a list"),
        ({'name': 'kitti'}, "'kitti' is unknown; take one of"),
    ],
)
def test_wrong_options_are_told_whether_or_not_the_data_set_is_there(tmp_path, more, told):
    with pytest.raises(ValueError, match=told):
        of_sintel(tmp_path / 'nowhere', **more)


def test_sources_without_any_clip_are_refused(tmp_path):
    with pytest.raises(ValueError, match='weight 0'):
        SourceSettings(generated=0.0)
    with pytest.raises(ValueError, match='unknown'):
        SourceSettings(setting='cellar')
    with pytest.raises(ValueError, match='few scenes'):
        SourceSettings(scenes=(1,), data_sets=(DataSetShare('davis', tmp_path),))


def marked(seeds: Sequence[int]) -> Clips:
    """A clip of one pixel for each seed, which shows which seed it is of."""
    shades = [[seed >> 8 * k & 255 for k in range(3)] for seed in seeds]
    return unlabelled(torch.tensor(shades, dtype=torch.uint8)[:, None, None, :, None, None])


def test_every_round_of_scenes_is_seen_as_often_as_asked():
    source = clip_source(SourceSettings(repeats=2))
    first, again, new = (
        source([SEEDS[0] + turn * ROUND, SEEDS[3] + turn * ROUND], REQUEST, CPU)
        for turn in range(3)
    )
    assert torch.equal(first.images, generate([SEEDS[0], SEEDS[3]], SPEC).images)
    assert torch.equal(again.images, first.images)
    scenes = [SEEDS[0] + ROUND, SEEDS[3] + ROUND]
    assert torch.equal(new.images, generate(scenes, SPEC).images)


@given(repeats=st.integers(1, 5), samples=st.lists(st.integers(0, ROUND - 1), min_size=1))
@settings(deadline=None)
def test_a_scene_that_is_remembered_is_not_drawn_again(repeats: int, samples: list[int]):
    drawn: list[int] = []

    def draw(seeds: Sequence[int]) -> Clips:
        drawn.extend(seeds)
        return marked(seeds)

    memory = SceneMemory(draw)
    for sample in samples:
        later = sample + (repeats - 1) * ROUND
        clips = memory.clips([scene_of(FIRST + s, repeats) for s in (sample, later)])
        assert torch.equal(clips.images, marked([FIRST + sample] * 2).images)
    assert sorted(drawn) == sorted({FIRST + sample for sample in samples})


def test_what_is_remembered_is_bounded():
    memory = SceneMemory(marked)
    for first in range(FIRST, FIRST + 4 * ROUND, 64):
        memory.clips(range(first, first + 64))
    assert len(memory) <= ROUND


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match='seen 0 times'):
        SourceSettings(repeats=0)

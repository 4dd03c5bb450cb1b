"""Mixtures: weights, seeds, and what is said of sets that are absent."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
import sys

from fourd_perception.datasets.catalogue import AbsentDataSet, CATALOGUE, open_data_set
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.mixture import Mixture, open_mixture, Share
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature
from test_sintel import write_sintel
from test_vkitti2 import write_vkitti2

SPEC = ClipSpec(size=(16, 16), instants=2)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, miniature = tmp_path_factory.mktemp('sets'), Miniature((48, 64))
    write_sintel(root / 'sintel', miniature)
    write_vkitti2(root / 'vkitti2/Scene01/clone', miniature)
    return root


@pytest.fixture(scope='module')
def mixture(root: Path) -> Mixture:
    few = Share('sintel', root / 'sintel', weight=1.0)
    return open_mixture([few, Share('vkitti2', root / 'vkitti2', weight=3.0, strides=(1, 2))])


def test_sets_come_by_weight_whatever_their_size(mixture: Mixture) -> None:
    clips = mixture.clips(range(120), SPEC)
    share = clips.metric.float().mean().item()
    assert abs(share - 0.75) < 0.1
    apart = (clips.seconds[:, 0, 1] - clips.seconds[:, 0, 0])[clips.metric]
    strides = (apart / 0.1).round().long().bincount()
    assert abs(strides[1] / strides.sum() - 0.5) < 0.15 and len(strides) == 3


def test_a_clip_is_a_function_of_its_seed(mixture: Mixture) -> None:
    batch, alone = mixture.clips([4, 11, 7], SPEC), mixture.clips([7], SPEC)
    for field in fields(batch):
        left, right = (getattr(c, field.name) for c in (batch[2:], alone))
        assert torch.equal(left.nan_to_num(-1), right.nan_to_num(-1)), field.name
    assert not torch.equal(batch.images[0], batch.images[1])


def test_an_absent_set_is_named(root: Path) -> None:
    shares = [Share('sintel', root / 'sintel'), Share('spring', root / 'nowhere')]
    with pytest.raises(AbsentDataSet, match=f'spring is absent: {root}/nowhere is no folder'):
        open_mixture(shares)
    with pytest.warns(UserWarning, match='skipped: data set spring is absent'):
        mixture = open_mixture(shares, skip_absent=True)
    assert [s.name for s in mixture.sets] == ['sintel'] and mixture.weights == (1.0,)
    with (
        pytest.warns(UserWarning, match='spring is absent'),
        pytest.raises(DataSetError, match='no data set of the mixture'),
    ):
        open_mixture(shares[1:], skip_absent=True)


def test_a_broken_set_is_not_skipped(root: Path) -> None:
    with pytest.raises(DataSetError, match='sintel/training/clean'):
        shares = [Share('sintel', root / 'sintel', options={'rendering': 'clean'})]
        open_mixture(shares, skip_absent=True)


@pytest.mark.parametrize(
    ('share', 'message'),
    [
        (Share('kitti', Path('.')), "'kitti' is unknown; take one of"),
        (Share('spring', Path('.'), options={'pass': 1}), "spring takes no option 'pass'"),
        (Share('sintel', Path('.'), weight=0.0), 'sintel has weight 0.0'),
        (Share('sintel', Path('.'), strides=()), r'sintel has strides \(\)'),
    ],
)
def test_wrong_shares_are_explained(share: Share, message: str) -> None:
    with pytest.raises(DataSetError, match=message):
        open_mixture([share])


def test_windows_longer_than_all_recordings_are_explained(mixture: Mixture) -> None:
    long = ClipSpec(size=(16, 16), instants=9)
    with pytest.raises(DataSetError, match='is long enough for 9 instants at stride'):
        mixture.clip(0, long)


def test_every_set_of_the_catalogue_names_an_empty_folder(tmp_path: Path) -> None:
    for name in CATALOGUE:
        with pytest.raises(DataSetError) as error:
            data = open_data_set(name, tmp_path)
            raise AssertionError(f'{name} opened as {data}')
        assert str(tmp_path) in str(error.value), name
    assert len(CATALOGUE) == len(set(CATALOGUE.values())) == 16
    assert np.all([opener.__doc__ for opener in CATALOGUE.values()])

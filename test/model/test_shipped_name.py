"""The name `fourd-small`: found where the package is, whole, or with words that help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fourd_perception import cli
from fourd_perception.engine.predictors import load_for_clips, load_predictor
from fourd_perception.model import shipped_weights
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_fetch import sha256_of
from fourd_perception.model.checkpoint_parts import write_parts
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.untrained import untrained_small
import pytest
import torch

NARROW = SmallConfig(
    dim=32, heads=2, stem=(8, 8, 16), encoder_depth=1, pairs=1, temporal_depth=1, camera_depth=1,
    decoder=(16, 8), mask=8,
)  # fmt: skip


@pytest.fixture
def index(tmp_path: Path, monkeypatch) -> Path:
    """The index of a narrow network that ships in the place of the real one."""
    folder = tmp_path / 'package' / 'weights' / 'fourd-small'
    monkeypatch.setattr(shipped_weights, 'FOLDER', folder)
    monkeypatch.setenv('FOURD_PERCEPTION_WEIGHTS', str(tmp_path / 'fetched'))
    metadata = {CONFIG_KEY: config_to_json(NARROW), 'licence': 'Apache-2.0'}
    tensors = untrained_small(NARROW, 0).state_dict()
    return write_parts(folder, tensors, metadata, torch.bfloat16, most_bytes=150_000)


def said(capsys, arguments: Sequence[str], code: int = 0) -> str:
    """What a command prints."""
    capsys.readouterr()
    assert cli.main(arguments) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_it_is_first_in_the_list_with_all_that_matters(index, capsys):
    lines = said(capsys, ['weights', 'list']).splitlines()
    size = sum(file.stat().st_size for file in index.parent.iterdir()) / 1e6
    assert lines[:4] == [
        'fourd-small',
        '  ships with the package',
        f'  here     {index}',
        f'           {size:.1f} MB, licence: Apache-2.0, SHA-256 {sha256_of(index)}',
    ]


def test_it_can_be_checked_and_need_not_be_fetched(index, capsys):
    assert str(index) in said(capsys, ['weights', 'check', 'fourd-small'])
    assert 'nothing needs fetching' in said(capsys, ['weights', 'fetch', 'fourd-small'])


def test_the_name_means_what_ships_wherever_one_is(index, tmp_path, monkeypatch):
    mine = tmp_path / 'mine' / 'fourd-small'
    write_parts(
        mine, untrained_small(NARROW, 1).state_dict(), {CONFIG_KEY: config_to_json(NARROW)}
    )
    monkeypatch.chdir(mine.parent)
    info = load_predictor('fourd-small').info
    assert (info.name, info.licence, info.notice) == ('fourd-small', 'Apache-2.0', '')
    assert info.sha256 == sha256_of(index)
    assert load_predictor('./fourd-small').info.sha256 == sha256_of(mine / 'model.safetensors')


def test_what_needs_the_attention_of_a_vggt_says_so(index):
    with pytest.raises(ValueError, match='holds a fourd-small; give weights of a VGGT'):
        load_for_clips('fourd-small')


def lacks_everything(index: Path) -> None:
    for file in index.parent.iterdir():
        file.unlink()


def lacks_a_part(index: Path) -> None:
    max(index.parent.glob('*.safetensors')).unlink()


def has_pointers_of_lfs(index: Path) -> None:
    for file in index.parent.glob('*.safetensors'):
        file.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n')


@pytest.mark.parametrize('harm', [lacks_everything, lacks_a_part, has_pointers_of_lfs])
def test_where_it_is_not_whole_the_remedy_is_told(index, capsys, harm):
    harm(index)
    with pytest.raises(FileNotFoundError, match='does not hold all of them.*git lfs pull'):
        load_predictor('fourd-small')
    for verb in ('check', 'fetch'):
        assert f'git checkout HEAD -- {index.parent}' in said(
            capsys, ['weights', verb, 'fourd-small'], 2
        )
    assert '  not here weights' in said(capsys, ['weights', 'list']).splitlines()[2]


def test_a_name_that_is_none_is_answered_with_this_one(index):
    with pytest.raises(ValueError, match='give fourd-small, which ships with the package'):
        load_predictor('fourd small')

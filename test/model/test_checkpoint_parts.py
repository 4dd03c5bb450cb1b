"""Weights in parts of limited size: written, read again, and refused where a part is not whole."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

from fourd_perception import cli
from fourd_perception.model import checkpoint_parts
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_fetch import sha256_of
from fourd_perception.model.checkpoint_files import open_tensors, write_safetensors
from fourd_perception.model.checkpoint_parts import write_parts, written
from fourd_perception.model.checkpoints import load_any
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.public_checkpoints import local_file
import pytest
from safetensors.torch import load_file
from small_grids import network
import torch

MOST = 100_000


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A narrow fourd-small in several parts."""
    model = network()
    metadata = {CONFIG_KEY: config_to_json(model.config), 'licence': 'Apache-2.0'}
    return write_parts(tmp_path / 'w', model.state_dict(), metadata, torch.bfloat16, MOST)


def test_a_network_comes_out_of_its_parts(index):
    parts = sorted(index.parent.glob('*.safetensors'))
    assert len(parts) > 2 and all(part.stat().st_size <= MOST for part in parts)
    model = load_any(index, dtype=torch.float32)
    for name, tensor in network().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor.bfloat16().float()), name
    assert load_any(index).camera_token.dtype == torch.bfloat16
    assert open_tensors(index).metadata['licence'] == 'Apache-2.0'


def test_the_index_is_the_one_that_model_hubs_use(index):
    content = json.loads(index.read_text())
    assert index.name == 'model.safetensors.index.json'
    state = network().state_dict()
    assert content['metadata']['total_size'] == 2 * sum(t.numel() for t in state.values())
    for name, file in content['weight_map'].items():
        assert name in load_file(index.with_name(file))
    assert content['weight_map'].keys() == state.keys()


def test_a_folder_of_weights_is_named_checked_and_shown(index, capsys):
    assert local_file(str(index.parent)) == index
    assert cli.main(['weights', 'check', str(index.parent)]) == 0
    said = capsys.readouterr().out
    assert 'fourd-small' in said and 'Apache-2.0' in said
    files = [index, *index.parent.glob('*.safetensors')]
    assert f'{sum(file.stat().st_size for file in files):,} bytes' in said
    before = sha256_of(index)
    part = sorted(index.parent.glob('*.safetensors'))[1]
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    assert sha256_of(index) != before


def test_what_fits_is_one_file_and_old_parts_go(index, tmp_path):
    state = network().state_dict()
    path = write_parts(index.parent, state, {}, torch.bfloat16)
    assert [file.name for file in index.parent.iterdir()] == ['model.safetensors']
    assert local_file(str(index.parent)) == path
    # A tensor that is too large has a part of its own.
    alone = write_parts(
        tmp_path / 'alone', {'a': torch.zeros(9), 'b': torch.zeros(90_000)}, {}, most_bytes=MOST
    )
    assert {*json.loads(alone.read_text())['weight_map'].values()} == {
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
    }


@pytest.mark.parametrize('most, whole', [(MOST, 3), (10 * MOST, 0)])
def test_cut_off_while_it_is_written_it_is_not_taken_for_whole(tmp_path, monkeypatch, most, whole):
    state, left = network().state_dict(), [whole]

    def cut_off(path: Path, *given: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            path.write_bytes(b'half')
            raise OSError('disk full')
        write_safetensors(path, *given)

    with monkeypatch.context() as broken, pytest.raises(OSError, match='disk full'):
        broken.setattr(checkpoint_parts, 'write_safetensors', cut_off)
        write_parts(tmp_path, state, {}, torch.bfloat16, most)
    assert any(tmp_path.iterdir()) and written(tmp_path) is None
    path = write_parts(tmp_path, state, {}, torch.bfloat16, most)
    assert written(tmp_path) == path == local_file(str(tmp_path))
    assert not list(tmp_path.glob('*.partial'))


def test_parts_that_are_missing_or_strange_are_named(index):
    part = sorted(index.parent.glob('*.safetensors'))[0]
    content = json.loads(index.read_text())
    shutil.move(part, part.with_name('kept'))
    with pytest.raises(FileNotFoundError, match=part.name):
        open_tensors(index)
    shutil.move(part.with_name('kept'), part)
    content['weight_map']['stranger'] = part.name
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='stranger are not in the files that it names'):
        open_tensors(index)
    for wrong in ('{}', '[]', '{"weight_map": {}}', '{"weight_map": {"a": "../x"}}', '{'):
        index.write_text(wrong)
        with pytest.raises(ValueError, match='no index of safetensors files beside it'):
            open_tensors(index)

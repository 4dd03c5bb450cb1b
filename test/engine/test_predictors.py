"""Predictors by the name that the parameter `weights` gives them."""

import hashlib

from fourd_perception.engine.predictors import load_predictor
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_files import write_safetensors
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.public_checkpoints import Origin, write_origin
from fourd_perception.model.untrained import untrained_network
from fourd_perception.synthetic.recording import make_recording
import pytest


def write_weights(path, seed=3):
    """A checkpoint of the small network."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = untrained_network(PRESETS['tiny'], seed).state_dict()
    write_safetensors(path, tensors, {CONFIG_KEY: config_to_json(PRESETS['tiny'])})
    return path


def test_untrained_weights_say_so():
    info = load_predictor('untrained:7').info
    assert info.name == 'untrained:7'
    assert 'UNTRAINED' in info.notice


def test_the_truth_of_a_recording(tmp_path):
    make_recording('room', cameras=1, seconds=0.2).save(tmp_path)
    predictor = load_predictor(f'truth:{tmp_path}')
    assert predictor.info.name.startswith('truth:')
    assert predictor.info.notice == ''


def test_a_file_of_weights_with_its_hash(tmp_path):
    path = write_weights(tmp_path / 'some.safetensors')
    info = load_predictor(str(path)).info
    assert info.name == str(path)
    assert info.licence == 'not known' and info.notice == ''
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.parameters == load_predictor('untrained:0').info.parameters
    assert info.has_mask and not info.has_flow


def test_fetched_weights_by_their_name_with_the_licence_they_came_with(tmp_path, monkeypatch):
    monkeypatch.setenv('FOURD_PERCEPTION_WEIGHTS', str(tmp_path))
    file = write_weights(tmp_path / 'facebook/VGGT-1B/model.safetensors')
    write_origin(file, Origin('facebook/VGGT-1B', file.name, 'r', 1, 'abc123', 'CC-BY-NC-4.0'))
    info = load_predictor('vggt-1b').info
    assert (info.name, info.licence, info.sha256) == ('vggt-1b', 'CC-BY-NC-4.0', 'abc123')


def test_weights_that_are_not_here_come_with_the_command_that_fetches_them(tmp_path, monkeypatch):
    monkeypatch.setenv('FOURD_PERCEPTION_WEIGHTS', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='weights fetch vggt-1b'):
        load_predictor('vggt-1b')
    with pytest.raises(FileNotFoundError, match='/some/path.pt.* no such file'):
        load_predictor('/some/path.pt')


@pytest.mark.parametrize('spec', ['', 'untrained', 'untrained:', 'untrained:x', 'truth:', 'x'])
def test_anything_else_is_refused_with_what_is_accepted(spec):
    with pytest.raises(ValueError, match='untrained:<seed>.*truth:<recording>.*weights list'):
        load_predictor(spec)


def test_a_recording_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match='/nowhere/at/all.*synth'):
        load_predictor('truth:/nowhere/at/all')

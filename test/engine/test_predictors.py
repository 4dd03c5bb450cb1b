"""Predictors by the name that the parameter `weights` gives them."""

from dataclasses import replace
import hashlib

from fourd_perception.engine.engine import Engine
from fourd_perception.engine.predictors import load_predictor
from fourd_perception.engine.scene_update import Output
from fourd_perception.engine.settings import EngineSettings
from fourd_perception.geometry.cameras import Rig
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_files import write_safetensors
from fourd_perception.model.checkpoint_report import describe
from fourd_perception.model.checkpoints import load_network, open_checkpoint
from fourd_perception.model.config_json import config_to_json
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.public_checkpoints import Origin, write_origin
from fourd_perception.model.small.config import SMALL_PRESETS
from fourd_perception.model.small.predictor import SmallPredictor
from fourd_perception.model.untrained import untrained_network, untrained_small
from fourd_perception.synthetic.recording import make_recording
import numpy as np
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


def test_untrained_weights_of_any_preset():
    info = load_predictor('untrained:fourd-small:3').info
    assert (info.name, info.parameters) == ('untrained:fourd-small:3', 17_703_172)
    assert 'UNTRAINED' in info.notice
    tiny = load_predictor('untrained:tiny:7').info
    assert tiny.parameters == load_predictor('untrained:7').info.parameters
    with pytest.raises(ValueError, match='vggt-9:0: the presets are vggt-1b, .*, fourd-small'):
        load_predictor('untrained:vggt-9:0')


@pytest.mark.parametrize('with_config', [True, False])
@pytest.mark.parametrize('flow', [True, False])
def test_a_checkpoint_of_fourd_small_is_told_by_its_keys(tmp_path, with_config, flow):
    preset = SMALL_PRESETS['fourd-small']
    config = preset if flow else replace(preset, flow=None)
    tensors = untrained_small(config, 3).state_dict()
    metadata = {CONFIG_KEY: config_to_json(config)} if with_config else {}
    write_safetensors(tmp_path / 'small.safetensors', tensors, metadata)
    checkpoint = open_checkpoint(tmp_path / 'small.safetensors')
    assert (checkpoint.layout, checkpoint.config) == ('fourd-small', config)
    assert 'preset: ' + ('fourd-small' if flow else 'none') in '\n'.join(describe(checkpoint))
    loaded = load_predictor(str(tmp_path / 'small.safetensors'))
    assert isinstance(loaded, SmallPredictor) and loaded.info.has_flow == flow
    assert loaded.info.parameters == checkpoint.parameters
    with pytest.raises(ValueError, match='holds a fourd-small; give weights of a VGGT'):
        load_network(tmp_path / 'small.safetensors')


def test_tensors_that_do_not_fit_fourd_small_are_listed(tmp_path):
    tensors = untrained_small(SMALL_PRESETS['fourd-small'], 3).state_dict()
    del tensors['camera_token']
    write_safetensors(tmp_path / 'small.safetensors', tensors, {})
    with pytest.raises(ValueError, match=r'layout fourd-small .* 1 missing \(camera_token\)'):
        load_predictor(str(tmp_path / 'small.safetensors'))


@pytest.mark.parametrize('masks', ['motion_cues', 'both'])
def test_fourd_small_has_no_motion_cues(masks):
    with pytest.raises(ValueError, match='fourd-small, whose attention has no motion cues'):
        load_predictor('untrained:fourd-small:0', masks=masks)


@pytest.mark.parametrize('spec', ['untrained:0', 'untrained:fourd-small:0'])
def test_a_dead_camera_stops_nothing(spec):
    recording = make_recording('room', cameras=3, seconds=0.5)
    names = tuple(recording.cameras)
    predictor = load_predictor(spec)
    settings = EngineSettings(pixel_budget=6000, allow_unscaled=True)
    engine = Engine(predictor, settings, lambda frame: recording.image(frame.camera, frame.stamp))
    for k in range(2):
        alive = tuple(Frame(name, recording.stamps(name)[k], None) for name in names[1:])
        update = engine.step(
            TimeSlice(names, (None, *alive), names[1]), Rig(recording.cameras), frozenset(Output)
        )
    assert set(update.cameras) == set(names[1:])
    assert all(np.isfinite(camera.depth).any() for camera in update.cameras.values())
    assert all(camera.flow_forward is not None for camera in update.cameras.values())


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
    assert info.has_mask and info.has_flow


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

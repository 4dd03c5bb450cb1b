"""Predictors by the name that the parameter `weights` gives them."""

from fourd_perception.engine.predictors import load_predictor
from fourd_perception.synthetic.recording import make_recording
import pytest


def test_untrained_weights_say_so():
    info = load_predictor('untrained:7').info
    assert info.name == 'untrained:7'
    assert 'UNTRAINED' in info.notice


def test_the_truth_of_a_recording(tmp_path):
    make_recording('room', cameras=1, seconds=0.2).save(tmp_path)
    predictor = load_predictor(f'truth:{tmp_path}')
    assert predictor.info.name.startswith('truth:')
    assert predictor.info.notice == ''


@pytest.mark.parametrize(
    'spec', ['', 'untrained', 'untrained:', 'untrained:x', 'truth:', 'vggt-1b', '/some/path.pt']
)
def test_anything_else_is_refused_with_what_is_accepted(spec):
    with pytest.raises(ValueError, match='untrained:<seed>.*truth:<recording>'):
        load_predictor(spec)


def test_a_recording_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match='/nowhere/at/all.*synth'):
        load_predictor('truth:/nowhere/at/all')

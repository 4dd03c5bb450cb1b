"""What the engine can be told, and what it refuses to hear."""

from fourd_perception.engine.settings import EngineSettings, parse_output_size
import pytest


@pytest.mark.parametrize(
    'text, size', [('network', 'network'), ('input', 'input'), ('320x240', (320, 240))]
)
def test_output_sizes(text, size):
    assert parse_output_size(text) == size
    EngineSettings(output_size=size)


@pytest.mark.parametrize('text', ['', '320', '320x', 'x240', '0x240', '-1x5', '320X240', 'big'])
def test_other_output_sizes_are_refused(text):
    with pytest.raises(ValueError, match='network, input, or WxH'):
        parse_output_size(text)


def test_a_window_of_one_slice_is_refused():
    with pytest.raises(ValueError, match='at least 2 slices'):
        EngineSettings(window_length=1)


def test_an_output_size_that_was_not_parsed_is_refused():
    with pytest.raises(ValueError, match='320y240'):
        EngineSettings(output_size='320y240')

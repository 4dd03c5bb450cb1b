"""Checkpoints: what is loaded, what is refused in which words, and how much memory it takes."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import json
from pathlib import Path
import subprocess
import sys

from fourd_perception import cli
from fourd_perception.evaluation.parity.networks import outputs
from fourd_perception.model.checkpoint_config import RELEASE
from fourd_perception.model.checkpoint_files import open_tensors, write_safetensors
from fourd_perception.model.checkpoints import load_network, open_checkpoint
from fourd_perception.model.config_json import config_from_json, config_to_json
from fourd_perception.model.presets import PRESETS
from network_fixtures import fourd_values, random_state, vggt_values
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

VGGT = vggt_values(16, 2, 4, 1, [0, 1, 2, 3])
FOURD = fourd_values(16, 2, 4, 1, [0, 1, 2, 3], 3)


@pytest.fixture
def vggt(tmp_path: Path) -> Path:
    """A small VGGT with the configuration beside it."""
    return written(tmp_path / 'vggt', VGGT)


def written(folder: Path, values: dict, state: dict[str, torch.Tensor] | None = None) -> Path:
    """A safetensors file with its config.json."""
    folder.mkdir()
    (folder / 'config.json').write_text(json.dumps(values))
    save_file(random_state(values) if state is None else state, folder / 'model.safetensors')
    return folder / 'model.safetensors'


def release(values: dict, **changes: object) -> dict:
    """What the published 4D-VGGT file holds."""
    extra = {'distribution_name': '4d-vggt', 'release': 'version-1.0'}
    return {**RELEASE, **extra, 'model_config': values, 'model': random_state(values)} | changes


def answers(path: Path, **options: object) -> dict[str, torch.Tensor]:
    """What the network of a file says of some images."""
    images = np.random.default_rng(0).random((1, 3, 3, 28, 42), np.float32)
    return outputs(load_network(path, **options), {'images': images})


def assert_same(left: Path, right: Path) -> None:
    """Two files make one network: equal tensors, and answers to rounding.

    Tensors are mapped where they lie in the file, and kernels round by alignment.
    """
    one, other = load_network(left), load_network(right)
    assert one.config == other.config
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items()):
        assert torch.equal(a, b), name
    said = answers(left), answers(right)
    assert said[0].keys() == said[1].keys()
    for name in said[0]:
        torch.testing.assert_close(said[0][name], said[1][name], rtol=1e-5, atol=1e-5)


def test_the_same_network_comes_out_of_every_container(vggt, tmp_path):
    state = load_file(vggt)
    torch.save(state, vggt.with_name('bare.pt'))
    torch.save({'model': state, 'epoch': 20}, vggt.with_name('wrapped.pt'))
    assert_same(vggt, vggt.with_name('bare.pt'))
    assert_same(vggt, vggt.with_name('wrapped.pt'))


def test_a_release_brings_its_configuration_and_is_checked(tmp_path):
    path = tmp_path / '4d-vggt-geometry-v1.pt'
    torch.save(release(FOURD), path)
    assert_same(path, written(tmp_path / 'same', FOURD))
    torch.save(release(FOURD, architecture_schema_version=3, released_tasks=['camera']), path)
    with pytest.raises(ValueError, match=r'schema_version is 3 \(known: 2\); released_tasks is'):
        load_network(path)
    torch.save(release(FOURD | {'window_size': 5}), path)
    load_network(path)  # made with that window
    torch.save(release(FOURD) | {'model_config': FOURD | {'window_size': 5}}, path)
    with pytest.raises(ValueError, match=r'4 mis-shaped .*relative_time_bias \[2, 3\] instead'):
        load_network(path)


def test_missing_unexpected_and_misshapen_tensors_are_refused_in_one_error(vggt):
    state = load_file(vggt)
    for i in range(7):
        del state[f'aggregator.frame_blocks.{i % 4}.norm{i // 4 + 1}.weight']
    state['optimizer.step'] = torch.zeros(1)
    state['depth_head.norm.weight'] = torch.zeros(3)
    state['depth_head.norm.bias'] = torch.zeros(32, dtype=torch.int64)
    save_file(state, vggt)
    with pytest.raises(ValueError) as caught:
        open_checkpoint(vggt)
    words = str(caught.value)
    assert '7 missing (aggregator.frame_blocks.0.norm1.weight' in words and 'and 2 more' in words
    assert '1 unexpected (optimizer.step)' in words
    assert '1 mis-shaped (depth_head.norm.weight [3] instead of [32])' in words
    assert '1 mistyped (depth_head.norm.bias torch.int64)' in words
    assert len(words) < 1000


def test_sizes_that_are_not_published_need_a_configuration(vggt):
    vggt.with_name('config.json').unlink()
    with pytest.raises(ValueError, match='needs its config.json beside the file'):
        open_checkpoint(vggt)
    # What a model hub keeps there is not enough, and is no fault either.
    vggt.with_name('config.json').write_text('{"img_size": 518, "patch_size": 14}')
    with pytest.raises(ValueError, match='needs its config.json'):
        open_checkpoint(vggt)


class Anything:
    """An object whose unpickling would run code."""

    def __reduce__(self):
        return (print, ('this must never run',))


def test_pickled_objects_are_never_loaded(tmp_path, capsys):
    torch.save({'model': {'weight': torch.zeros(2)}, 'args': Anything()}, tmp_path / 'a.pt')
    with pytest.raises(ValueError, match='more than tensors and plain values'):
        open_tensors(tmp_path / 'a.pt')
    assert 'never run' not in capsys.readouterr().out


def test_files_that_are_none_are_refused_in_plain_words(vggt, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file'):
        open_tensors(tmp_path / 'a.safetensors')
    for name, content, words in (
        ('a.safetensors', vggt.read_bytes()[:-100], 'no whole safetensors file'),
        ('b.safetensors', b'', 'no whole safetensors file'),
        ('c.pt', b'PK\x03\x04 cut', 'no whole file of torch.save'),
        ('d.pt', b'hello', 'fetch it again|more than tensors'),
        ('e.onnx', b'', 'files that end in .safetensors'),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=words):
            open_tensors(tmp_path / name)
    torch.save([torch.zeros(2)], tmp_path / 'f.pt')
    with pytest.raises(ValueError, match='holds a list'):
        open_tensors(tmp_path / 'f.pt')
    torch.save({'epoch': 3, 'weight': torch.zeros(2)}, tmp_path / 'g.pt')
    with pytest.raises(ValueError, match='epoch are no tensors'):
        open_tensors(tmp_path / 'g.pt')


def test_types_can_be_changed_while_loading_and_are_kept_otherwise(vggt):
    half = load_network(vggt, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    whole = load_network(vggt)
    for (name, a), (_, b) in zip(whole.named_parameters(), half.named_parameters()):
        assert torch.equal(a.bfloat16(), b), name
    assert not whole.training and not any(p.requires_grad for p in whole.parameters())
    assert not any(t.is_meta for t in [*whole.buffers(), *whole.parameters()])


def test_converted_files_say_what_they_are(vggt, tmp_path, capsys):
    out = tmp_path / 'alone.safetensors'
    assert cli.main(['weights', 'convert', str(vggt), str(out), '--dtype', 'bf16']) == 0
    state = load_file(out)  # an independent reader
    for name, tensor in load_file(vggt).items():
        assert torch.equal(state[name], tensor.bfloat16()), name
    assert open_checkpoint(out).config == open_checkpoint(vggt).config
    assert cli.main(['weights', 'convert', str(vggt), str(out)]) == 2
    assert 'File exists' in capsys.readouterr().err
    assert cli.main(['weights', 'convert', str(vggt), str(tmp_path / 'a.pt')]) == 2
    assert '.safetensors' in capsys.readouterr().err


def test_a_vggt_made_into_a_4d_vggt_answers_as_before(vggt, tmp_path, capsys):
    out = tmp_path / 'fourd.safetensors'
    assert cli.main(['weights', 'convert', str(vggt), str(out), '--to', '4d-vggt']) == 0
    before, after = answers(vggt), answers(out)
    for name in ('pose_enc_list', 'depth', 'depth_conf', 'world_points', 'world_points_conf'):
        torch.testing.assert_close(before[name], after[name], rtol=1e-5, atol=1e-5)
    assert 'temporal_tap_3' in after
    again = ['weights', 'convert', str(out), str(tmp_path / 'b.safetensors'), '--to', '4d-vggt']
    assert cli.main(again) == 2
    assert 'only a VGGT' in capsys.readouterr().err


def test_the_corrected_tracker_is_told_by_the_name_or_by_an_option(tmp_path):
    """At published sizes, on the meta device's shapes: no such file fits a test."""
    from fourd_perception.model.checkpoint_config import config_of
    from fourd_perception.model.checkpoint_files import TensorFile
    import published_keys

    tensors = {name: torch.empty(s, device='meta') for name, s in published_keys.vggt().items()}

    def fixed(name: str, option: bool | None = None) -> bool:
        return config_of(
            TensorFile(tmp_path / name, tensors, {}), option
        ).tracks.dense.uv_embedding

    assert fixed('model_tracker_fixed_e20.pt')
    assert not fixed('model.pt')
    assert fixed('model.pt', True)
    assert not fixed('model_tracker_fixed_e20.pt', False)


@pytest.mark.parametrize('preset', PRESETS)
def test_configurations_survive_their_json(preset):
    config = PRESETS[preset]
    assert config_from_json(config_to_json(config)) == config
    small = replace(config, trunk=replace(config.trunk, encoder=None, taps=(0, 1, 2, 3)))
    assert config_from_json(config_to_json(small)) == small
    with pytest.raises(ValueError, match='NetworkConfig has no windows'):
        config_from_json('{"windows": 3}')


def test_check_shows_what_a_file_is_and_finds_numbers_that_are_not_finite(vggt, capsys):
    assert cli.main(['weights', 'check', str(vggt)]) == 0
    said = capsys.readouterr().out
    assert hashlib.sha256(vggt.read_bytes()).hexdigest() in said
    for words in ('vggt', 'float32', f'{vggt.stat().st_size:,} bytes', 'licence', 'spatial_head'):
        assert words in said
    state = load_file(vggt)
    state['depth_head.norm.weight'][3] = torch.nan
    save_file(state, vggt)
    assert cli.main(['weights', 'check', str(vggt)]) == 1
    assert 'not finite: depth_head.norm.weight' in capsys.readouterr().out


PEAK = """
import re, sys, torch
from pathlib import Path
from fourd_perception.model.checkpoints import load_network

def resident(kind):
    return 1024 * int(re.search(kind + r':\\s+(\\d+)', open('/proc/self/status').read())[1])

small, large, dtype = sys.argv[1:]
dtype = getattr(torch, dtype)
def load_and_read_every_number(path):
    network = load_network(Path(path), dtype=dtype)
    assert sum(float(p.sum()) for p in network.parameters()) != 0
    return network

load_and_read_every_number(small)  # what code and libraries take is not the model's
start = resident('VmRSS')
network = load_and_read_every_number(large)
print((resident('VmHWM') - start) / sum(p.nbytes for p in network.parameters()))
"""


@pytest.mark.parametrize('suffix', ['.safetensors', '.pt'])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_loading_takes_hardly_more_memory_than_the_model(suffix, dtype, vggt, tmp_path):
    values = vggt_values(384, 6, 24, 1, [4, 11, 17, 23])
    large = (tmp_path / 'large' / 'model').with_suffix(suffix)
    large.parent.mkdir()
    large.with_name('config.json').write_text(json.dumps(values))
    state = random_state(values)
    if suffix == '.pt':
        torch.save(state, large)
    else:
        write_safetensors(large, state, {})
    assert sum(t.nbytes for t in state.values()) > 2e8
    command = [sys.executable, '-c', PEAK, str(vggt), str(large), dtype]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    print(f'{suffix} as {dtype}: {float(done.stdout):.2f} of the size of the model')
    assert float(done.stdout) < 1.2

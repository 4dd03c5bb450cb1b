"""`fourd-perception parity`: the references' fixtures, and networks that it has not seen."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

from fourd_perception import cli
from fourd_perception.evaluation.parity.comparison import compare, relative_error
from network_fixtures import (
    fourd_values,
    GOLDEN,
    needs_golden,
    NETWORKS,
    random_state,
    vggt_values,
    write_fixture,
)
import numpy as np
from plain_vggt import Plain
import pytest
from safetensors.torch import load_file, save_file
import torch

UNSEEN = {
    'three heads, groups of two': (
        vggt_values(48, 3, 4, 2, [0, 1, 2, 3]),
        {'portrait_n3': (1, 3, 56, 28), 'batch2_n2': (2, 2, 28, 42)},
    ),
    'uneven taps, one head': (
        vggt_values(16, 1, 7, 1, [1, 2, 4, 6]),
        {'one_patch_n4': (1, 4, 14, 14), 'landscape_n1': (1, 1, 28, 70)},
    ),
    'another encoder, a grid of as many patches but another shape, the stored grid': (
        vggt_values(
            32,
            2,
            4,
            4,
            [0, 1, 2, 3],
            {'embed_dim': 32, 'depth': 2, 'num_heads': 4, 'mlp_ratio': 2},
        ),
        {'row_n2': (1, 2, 14, 350), 'square_n2': (1, 2, 70, 70), 'wide_n10': (1, 10, 14, 28)},
    ),
    '4-D, window seven, groups of three': (
        fourd_values(24, 6, 6, 3, [0, 2, 3, 5], 7),
        {'landscape_n9': (1, 9, 28, 42), 'batch2_n5': (2, 5, 28, 14), 'single_n1': (1, 1, 42, 42)},
    ),
    '4-D, window one': (
        fourd_values(40, 5, 4, 1, [0, 1, 2, 3], 1),
        {'portrait_n2': (1, 2, 42, 14)},
    ),
}


def parity(*arguments: object) -> int:
    """Run the command line in this process; its exit code."""
    return cli.main(['parity', *map(str, arguments)])


@needs_golden
@pytest.mark.parametrize(
    'folder',
    ['vggt_tiny', 'vggt_dino_tiny', 'fourd_vggt', 'pose_encoding', 'preprocessing'],
)
def test_the_references_fixtures_are_met(folder, capsys):
    assert parity(GOLDEN / folder) == 0
    assert 'TOO FAR' not in capsys.readouterr().out


@needs_golden
@pytest.mark.parametrize('folder', ['vggt_tiny', 'vggt_dino_tiny', 'fourd_vggt'])
def test_in_float64_only_the_references_own_rounding_is_left(folder):
    assert parity(GOLDEN / folder, '--float64') == 0


@needs_golden
@pytest.mark.parametrize('folder', NETWORKS)
def test_every_output_of_a_fixture_is_compared(folder, capsys):
    parity(GOLDEN / folder)
    lines = capsys.readouterr().out.splitlines()
    compared = {line.split()[0] for line in lines if 'limit' in line}
    for case in (GOLDEN / folder).glob('*.npz'):
        assert set(np.load(case).files) - {'images', 'query_points'} <= compared


@needs_golden
@pytest.mark.parametrize('folder', NETWORKS)
def test_the_plain_reference_of_these_tests_is_right_itself(folder):
    values = json.loads((GOLDEN / folder / 'config.json').read_text())
    state = load_file(GOLDEN / folder / 'weights.safetensors')
    plain = Plain({name: tensor.double() for name, tensor in state.items()}, values)
    for case in sorted((GOLDEN / folder).glob('*.npz')):
        wanted = np.load(case)
        with torch.no_grad():
            found = plain(torch.from_numpy(wanted['images']).double())
        for name in found.keys() & set(wanted.files):
            assert relative_error(found[name].numpy(), wanted[name]) < 2e-5, (case.stem, name)


@pytest.mark.parametrize('name', UNSEEN)
def test_a_network_that_was_never_seen_is_met(name, tmp_path, capsys):
    write_fixture(tmp_path, *UNSEEN[name])
    assert parity(tmp_path) == 0, capsys.readouterr().out
    assert parity(tmp_path, '--float64') == 0, capsys.readouterr().out


def test_one_number_changed_in_the_weights_is_too_far(tmp_path, capsys):
    values, cases = UNSEEN['4-D, window one']
    write_fixture(tmp_path, values, cases)
    state = random_state(values)
    state['cross_time_local_fusion.temporal_blocks.0.attn.qkv.bias'][0] += 1
    save_file(state, tmp_path / 'weights.safetensors')
    assert parity(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    far = {line.split()[0] for line in lines if 'TOO FAR' in line}
    assert {'temporal_tap_0', 'fused_tap_3', 'depth'} <= far
    assert not far & {'spatial_tap_0', 'pose_enc', 'encoded_tokens'}
    assert lines[-1].startswith('NOT')


def test_an_output_that_the_network_lacks_is_too_far_and_an_unknown_one_is_told(tmp_path, capsys):
    values, cases = UNSEEN['4-D, window one']
    write_fixture(tmp_path, values, cases)
    (path,) = tmp_path.glob('*.npz')
    arrays = dict(np.load(path))
    np.savez(path, **arrays, weather=np.zeros(3))
    assert parity(tmp_path) == 0
    assert 'weather' in capsys.readouterr().out
    np.savez(path, **arrays, track=np.zeros(3))
    assert parity(tmp_path) == 1


def test_errors_are_relative_above_one_and_nan_is_never_right():
    wanted = np.array([100.0, 0.5, np.inf])
    assert relative_error(np.array([101.0, 0.5, np.inf]), wanted) == pytest.approx(0.01)
    assert relative_error(np.array([100.0, 0.6, np.inf]), wanted) == pytest.approx(0.1)
    assert relative_error(np.array([100.0, np.nan, np.inf]), wanted) == np.inf
    assert relative_error(np.array([100.0, 0.5, 7.0]), wanted) == np.inf
    assert not compare('case', 'depth', np.zeros((2, 3)), np.zeros((3, 2)), 1.0).passed


def test_a_folder_that_is_no_fixture_is_told_in_one_line(tmp_path: Path, capsys):
    assert parity(tmp_path) == 2
    assert 'no fixture' in capsys.readouterr().err
    assert parity(tmp_path / 'nowhere') == 2
    values, _ = UNSEEN['4-D, window one']
    write_fixture(tmp_path, values, {})
    assert parity(tmp_path) == 2
    assert 'no case' in capsys.readouterr().err
    np.savez(tmp_path / 'inputs.npz', images=np.zeros((1, 1, 3, 14, 14), np.float32))
    assert parity(tmp_path) == 2
    assert 'holds inputs only' in capsys.readouterr().err
    (tmp_path / 'inputs.npz').write_bytes((tmp_path / 'inputs.npz').read_bytes()[:-30])
    assert parity(tmp_path) == 2
    assert 'inputs.npz: no whole .npz file' in capsys.readouterr().err
    del values['depth']
    (tmp_path / 'config.json').write_text(json.dumps(values))
    assert parity(tmp_path) == 2
    assert "lacks 'depth'" in capsys.readouterr().err


@needs_golden
def test_another_bicubic_filter_is_told_and_another_size_is_too_far(tmp_path, capsys):
    from PIL import Image

    for path in (GOLDEN / 'preprocessing').iterdir():
        shutil.copy(path, tmp_path)
    image = np.array(Image.open(tmp_path / 'img2_640x480_RGB.png'))
    image[0, 0] ^= 1
    Image.fromarray(image).save(tmp_path / 'img2_640x480_RGB.png')
    assert parity(tmp_path) == 0
    assert 'bicubic' in capsys.readouterr().out
    Image.fromarray(image[:400]).save(tmp_path / 'img2_640x480_RGB.png')
    assert parity(tmp_path) == 1

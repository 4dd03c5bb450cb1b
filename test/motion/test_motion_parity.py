"""`fourd-perception parity` on VGGT4D: the references' fixtures, and details got wrong."""

from __future__ import annotations

import shutil

from fourd_perception import cli
from fourd_perception.evaluation.parity import motion as parity_motion
from fourd_perception.evaluation.parity.motion import check_motion
from fourd_perception.model.checkpoints import load_network
from fourd_perception.motion import clip, coarse_mask, cues, refine_released, windows
from fourd_perception.motion.cues import CueBands
from network_fixtures import GOLDEN, needs_golden
import numpy as np
import pytest
import torch

FOLDER = GOLDEN / 'vggt4d'


@needs_golden
def test_every_output_of_every_fixture_is_met(capsys):
    assert cli.main(['parity', str(FOLDER)]) == 0
    printed = capsys.readouterr().out
    for word in (
        'mean1',
        'var3',
        'dyn_map',
        'threshold',
        'cluster_losses',
        'refined_masks',
        'pose_enc_masked',
        'tap_23_all_dynamic',
        'stage2_cam2world',
        'coarse_masks',
    ):
        assert word in printed


@needs_golden
def test_another_place_and_other_names_of_cases(tmp_path):
    """A set that has not been seen: the network beside it, the cues in files of other names."""
    shutil.copytree(GOLDEN / 'vggt_tiny', tmp_path / 'net', copy_function=shutil.copy)
    (tmp_path / 'set').mkdir()
    shutil.copy(FOLDER / 'masked_pass.npz', tmp_path / 'set')
    shutil.copy(FOLDER / 'cues_model.npz', tmp_path / 'set' / 'cues_house.npz')
    assert cli.main(['parity', str(tmp_path / 'set')]) == 0
    shutil.rmtree(tmp_path / 'net')
    assert cli.main(['parity', str(tmp_path / 'set')]) == 2


@needs_golden
def test_one_number_changed_is_too_far(tmp_path, capsys):
    arrays = dict(np.load(FOLDER / 'clustering.npz'))
    arrays['normalised_map_sklearn'][0, 0, 0] += 1e-3
    np.savez(tmp_path / 'clustering.npz', **arrays)
    assert cli.main(['parity', str(tmp_path)]) == 1
    assert 'TOO FAR' in capsys.readouterr().out


@needs_golden
def test_an_array_that_nothing_computes_is_named(tmp_path, capsys):
    arrays = dict(np.load(FOLDER / 'clustering.npz'))
    np.savez(tmp_path / 'clustering.npz', surplus=np.zeros(3), **arrays)
    assert cli.main(['parity', str(tmp_path)]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if 'not compared' in x)
    assert line.split()[0] == 'surplus'


def variance_not_deviation(patch):
    true = cues.CueAccumulator._deviation
    patch.setattr(
        cues.CueAccumulator, '_deviation', lambda self, *rest: true(self, *rest).square()
    )


def window_of_stride_one(patch):
    true = windows.cue_windows
    for place in (clip, parity_motion):
        patch.setattr(place, 'cue_windows', lambda layout, *_: true(layout, (-3, -2, -1, 1, 2, 3)))


def another_band(patch):
    bands = CueBands((3, 4, 5, 6, 7), (17, 18, 19, 20, 21), (19, 20), 0)
    patch.setattr(parity_motion, 'cue_bands', lambda depth: bands)


def four_masked_pairs(patch):
    patch.setattr(parity_motion, 'masked_pairs', lambda depth: 4)


def no_dilation(patch):
    patch.setattr(refine_released.cv2, 'dilate', lambda mask, kernel: mask)


def first_of_the_thresholds(patch):
    true = parity_motion.multi_otsu

    def first(values, classes=()):
        return float(true(parity_motion.histogram(values), 4)[0])

    patch.setattr(coarse_mask, 'motion_threshold', first)
    patch.setattr(parity_motion, 'motion_threshold', first)


def whole_pixel_centres(patch):
    true = refine_released.RefinementClip.points
    patch.setattr(refine_released.RefinementClip, 'points', lambda self: true(self) * 1.01)


@needs_golden
@pytest.mark.parametrize(
    'mutation',
    [
        variance_not_deviation,
        window_of_stride_one,
        another_band,
        four_masked_pairs,
        no_dilation,
        first_of_the_thresholds,
        whole_pixel_centres,
    ],
)
def test_a_wrong_detail_makes_parity_fail(mutation, monkeypatch):
    mutation(monkeypatch)
    try:
        results = check_motion(FOLDER)
    except (ValueError, RuntimeError):
        return  # another band than the fixtures hold
    assert not all(result.passed for result in results)


@needs_golden
def test_masks_do_not_depend_on_the_number_of_threads():
    threads = torch.get_num_threads()
    arrays = np.load(FOLDER / 'pipeline.npz')
    network = load_network(GOLDEN / 'vggt_tiny' / 'weights.safetensors')
    masks = []
    for count in (1, 2):
        torch.set_num_threads(count)
        masks.append(clip.clip_motion(network, torch.from_numpy(arrays['images'])[0]).mask)
    torch.set_num_threads(threads)
    assert torch.equal(*masks)

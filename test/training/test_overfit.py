"""Everything that fourd-small is made of can learn: a tiny one, one scene by heart."""

from __future__ import annotations

from pathlib import Path

from fourd_perception.cli import main
from fourd_perception.evaluation.clip_scores import FLOW_BINS, flow_metric
from fourd_perception.training.training_log import read_log
import pytest

CONFIG = Path(__file__).parents[2] / 'config/train/overfit.yaml'


@pytest.fixture(scope='module')
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Of the averaged network, after the training that the command line runs."""
    out = tmp_path_factory.mktemp('overfit')
    assert main(['train', str(CONFIG), '--out', str(out)]) == 0
    last = read_log(out / 'log.jsonl')[-1]
    assert last['kind'] == 'validation'
    found: dict[str, float] = last['errors']
    return found


def test_depth(errors: dict[str, float]):
    assert errors['abs_rel'] <= 0.02


def test_flow_of_all_lengths_and_of_hidden_pixels_too(errors: dict[str, float]):
    bins = [flow_metric(*ends) for ends in FLOW_BINS]
    found = {name: errors[name] for name in bins if name in errors}
    assert set(found) == {'epe_0_1', 'epe_1_4'}
    assert max(found.values()) <= 0.15


def test_masks(errors: dict[str, float]):
    assert errors['iou'] >= 0.95


def test_motion_of_the_camera_as_its_head_says_and_as_solved(errors: dict[str, float]):
    assert errors['rotation'] <= 0.3 and errors['solved_rotation'] <= 0.3

"""Procedural clips through every method: the same for the same seed, with tables and verdict."""

from __future__ import annotations

import json

from fourd_perception.cli import main
from fourd_perception.evaluation import synthetic
from fourd_perception.evaluation.baselines.clip_answers import DIS, KLT, MEAN_IMAGE
from fourd_perception.evaluation.clip_evaluation import NETWORK, SOLVED
from fourd_perception.evaluation.clip_scores import Score
from fourd_perception.evaluation.synthetic import SyntheticScores, unseen_seeds
from fourd_perception.evaluation.synthetic_tables import tables
import numpy as np
import pytest


def test_seeds_are_those_that_no_training_draws():
    seeds = [s for group in range(5) for s in unseen_seeds(7, group, 1000)]
    assert max(seeds) < 2**31 and min(seeds) >= 0 and len(set(seeds)) == 5000
    assert unseen_seeds(7, 2, 10) == unseen_seeds(7, 2, 1000)[:10]
    assert not set(unseen_seeds(8, 0, 1000)) & set(seeds)


GOOD = {
    NETWORK: {'abs_rel': 0.1, 'epe_0_1': 0.1, 'epe_1_4': 0.5, 'epe_4_12': 1.0, 'epe_12_inf': 6.0,
              'iou': 0.7, 'false_positive': 0.005},
    DIS: {'epe_0_1': 0.3, 'epe_1_4': 0.6, 'epe_4_12': 1.2, 'epe_12_inf': 9.0},
    MEAN_IMAGE: {'abs_rel': 0.3},
}  # fmt: skip
PAIRS = {NETWORK: (2.0, 20.0), SOLVED: (0.4, 5.0), KLT: (0.5, 7.0)}


def scores(
    changed: dict[str, float], solved: tuple[float, float] = PAIRS[SOLVED]
) -> SyntheticScores:
    """Scores that keep every bar, but for what is changed of the network's."""
    methods = {}
    for method in {**GOOD, **PAIRS}:
        values = GOOD.get(method, {}) | (changed if method == NETWORK else {})
        pair = solved if method == SOLVED else PAIRS.get(method)
        pairs = np.empty((0, 2)) if pair is None else np.array([pair])
        methods[method] = Score({name: (10 * v, 10) for name, v in values.items()}, pairs)
    return SyntheticScores(dict.fromkeys((*synthetic.VIEWS, synthetic.HELD_OUT), methods))


def failures(found: SyntheticScores, trained_on: str = 'cpu') -> list[str]:
    return [failure for table in tables(found, trained_on) for failure in table.failures]


def test_every_bar_of_a_good_network_is_kept():
    assert failures(scores({})) == failures(scores({}), 'gpu') == []


def test_of_weights_that_were_trained_on_a_gpu_more_is_asked():
    assert failures(scores({'abs_rel': 0.11})) == []
    (missed,) = failures(scores({'abs_rel': 0.11}), 'gpu')
    assert missed == 'Depth: AbsRel: 0.11 (<= 0.1, <= 0.4 x mean image)'


@pytest.mark.parametrize(
    ('changed', 'named'),
    [
        ({'abs_rel': 0.15}, 'AbsRel'),
        ({'abs_rel': 0.13}, 'AbsRel'),  # .4 x .3 is .12
        ({'epe_0_1': 0.21}, '0-1 px'),
        ({'epe_1_4': 0.61}, '1-4 px'),
        ({'epe_4_12': 1.3}, '4-12 px'),
        ({'epe_12_inf': 6.4}, 'over 12 px'),
        ({'iou': 0.59}, 'IoU'),
        ({'false_positive': 0.011}, 'called moving'),
    ],
)
def test_each_bar_breaks_alone(changed, named):
    found = failures(scores(changed))
    assert len(found) == 1 and named in found[0]


def test_the_bars_of_poses_are_for_the_solved_ones():
    assert len(failures(scores({}, (0.6, 5.0)))) == 1
    assert len(failures(scores({}, (0.4, 6.5)))) == 1
    found = failures(scores({}, (0.4, 20.0)))
    assert len(found) == 2 and 'AUC@30' in found[1]


def test_held_out_families_do_not_enter_the_bars():
    found = scores({})
    found.groups[synthetic.HELD_OUT] = scores({'abs_rel': 9.0}).groups['rig']
    assert not failures(found)
    assert found.overall[NETWORK].values['abs_rel'] == pytest.approx(0.1)


@pytest.fixture
def small(monkeypatch):
    """Evaluations of small images, two instants, and few settings' cameras."""
    monkeypatch.setattr(synthetic, 'SIZE', (48, 64))
    monkeypatch.setattr(synthetic, 'INSTANTS', 2)
    monkeypatch.setattr(synthetic, 'VIEWS', dict.fromkeys(synthetic.VIEWS, 1))


def test_the_command_scores_tables_pictures_and_fails_untrained_weights(small, tmp_path, capsys):
    command = ['evaluate', 'synthetic', '--clips', '1', '--weights', 'untrained:fourd-small:0']
    for place in ('a', 'b'):
        assert main([*command, '--seed', '4', '--out', str(tmp_path / place)]) == 1
    told = capsys.readouterr()
    assert 'of weights trained on a CPU' in told.out and '<= 0.14' in told.out
    assert 'UNTRAINED WEIGHTS' in told.out and '| hand-held |' in told.out
    assert 'bar missed: Depth: AbsRel: ' in told.err
    names = {path.name for path in (tmp_path / 'a').iterdir()}
    assert names == {'synthetic.md', 'synthetic.json', 'synthetic.png'}
    first, second = (json.loads((tmp_path / p / 'synthetic.json').read_text()) for p in 'ab')
    assert first == second and first['settings'] == {'seed': 4, 'clips': 1, 'trained on': 'cpu'}
    assert main(['evaluate', 'table', str(tmp_path / 'a'), str(tmp_path / 'b')]) == 0
    assert '| Depth: AbsRel |' in capsys.readouterr().out

"""Tables with bars: what keeps them, what breaks them, and what is written."""

from __future__ import annotations

import json

from fourd_perception.evaluation.network_report import NetworkReport, side_by_side
from fourd_perception.evaluation.score_table import Bar, markdown, Row, Table
from fourd_perception.model.prediction import PredictorInfo
import pytest

INFO = PredictorInfo('small.safetensors', 16, 'Apache-2.0', sha256='ab12')


@pytest.mark.parametrize(
    ('bar', 'value', 'kept'),
    [
        (Bar(0.2), 0.2, True),
        (Bar(0.2), 0.21, False),
        (Bar(0.6, at_least=True), 0.6, True),
        (Bar(0.6, at_least=True), 0.5, False),
        (Bar(0.5, 'plain'), 1.0, True),
        (Bar(0.5, 'plain'), 1.1, False),
        (Bar(0.5, 'absent'), 0.0, False),
        (Bar(0.2), float('nan'), False),
    ],
)
def test_a_bar_is_absolute_or_beside_a_baseline_and_nothing_is_kept_by_nan(bar, value, kept):
    values = {'network': value, 'plain': 2.0}
    assert Row('error', values, 'network', (bar,)).passed is kept


def test_a_bar_whose_value_is_missing_is_broken_and_a_row_without_bars_is_not():
    assert not Row('error', {'plain': 1.0}, 'network', (Bar(1.0),)).passed
    assert Row('error', {}).passed


def table(error: float) -> Table:
    return Table(
        'Flow',
        [
            Row('1-4 px', {'network': error, 'DIS': 0.5}, 'network', (Bar(1, 'DIS'),), 'px', '12'),
            Row('hidden', {'network': 9.0}, 'network'),
        ],
        ['A note.'],
    )


def test_a_table_names_bar_and_verdict():
    text = markdown([table(0.7)])
    assert '|  | network | DIS | bar |  | of |' in text
    assert '| 1-4 px (px) | **0.7** | 0.5 | <= 1 x DIS | **below** | 12 |' in text
    assert '| hidden | 9 |  |  |  |  |' in text
    assert text.rstrip().endswith('A note.')
    assert table(0.7).failures == ['Flow: 1-4 px: 0.7 px (<= 1 x DIS)']
    assert not table(0.4).failures and 'ok' in markdown([table(0.4)])


def test_reports_are_written_and_put_side_by_side(tmp_path):
    for name, error in (('full', 0.4), ('no_pairs', 0.7)):
        report = NetworkReport('synthetic', INFO, {'seed': 3}, [table(error)])
        page = report.write(tmp_path / name)
        assert page.read_text() == report.text()
    assert '1 bars missed' in report.text() and '(seed 3)' in report.text()
    record = json.loads((tmp_path / 'full/synthetic.json').read_text())
    assert record['sha256'] == 'ab12' and record['settings'] == {'seed': 3}
    real = Table('Room', [Row('AbsRel', {'network': 0.25, 'constant': 0.36}, 'network')])
    NetworkReport('real', INFO, {}, [real]).write(tmp_path / 'full')
    assert side_by_side([tmp_path / 'full', tmp_path / 'no_pairs']).splitlines() == [
        '|  | full | no_pairs |',
        '| --- | ---: | ---: |',
        '| Flow: 1-4 px (px) | 0.4 | 0.7 |',
        '| Flow: hidden | 9 | 9 |',
        '| Room: AbsRel | 0.25 |  |',
    ]


def test_a_folder_without_evaluations_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='neither synthetic.json nor real.json'):
        side_by_side([tmp_path])

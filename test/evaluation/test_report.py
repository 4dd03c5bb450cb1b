"""The report tells what happened, and what must not have happened."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fourd_perception.evaluation.checks import Check, Faults, Mean, Worst
from fourd_perception.evaluation.report import (
    is_metric,
    notices,
    report_text,
    RunReport,
    unaccounted,
)
from fourd_perception.grid.ledger import Outcome
import numpy as np
import pytest


def status(level: str, message: str, **values: Any) -> dict[str, Any]:
    return {'level': level, 'message': message, 'values': {k: str(v) for k, v in values.items()}}


@pytest.fixture
def run() -> dict[str, Any]:
    """A `run.yaml` of one camera, all well."""
    counts = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    counts |= {'used': 15, 'overwritten': 5}
    return {
        'parameters': {
            'cameras': ['front'],
            'image_topic': '{camera}/image_rect',
            'weights': 'truth:x',
        },
        'played': {'/front/image_rect': 20},
        'rate': 0.5,
        'slices': 15,
        'slices_available': 20,
        'latency': {'count': 15, 'median': 80.0, 'p95': 90.0, 'max': 99.0},
        'outputs': {
            '/front/labels': {
                'type': 'sensor_msgs/msg/Image',
                'count': 14,
                'foreign': 0,
                'lost': 0,
                'bytes': 9,
            }
        },
        'skipped': {},
        'status': {
            'n: camera front': status('ok', 'delivers', received=20, pending=0, **counts),
            'n: inference': status('ok', 'runs', **{'predict (ms)': 12.5}),
            'n: scale': status('ok', 'metric', source='rig'),
            'n: weights': status('ok', 'truth:x'),
        },
        'exit_code': 0,
        'versions': {'python': '3'},
    }


def report(run: dict[str, Any], *checks: Check, exact: bool = True) -> RunReport:
    return RunReport(
        'truth', run, checks, 'nobody asked', 'Pixels left out: flow 3 %.', exact, 'sheet.png'
    )


KEPT = Check('depth', 1e-4, '', 1e-3, 100)
BROKEN = Check('flow', 0.2, 'px', 0.05, 100, 'front at 7')


def test_a_good_run_is_told_on_one_page(run):
    text = report_text([report(run, KEPT)])
    for words in (
        '| truth | `truth:x` | 0.5 | 15 of 20 | 80 ms | 0 | rig | passed |',
        '| depth | 0.0001 | <= 0.001 | kept | 100 |  |',
        'Pixels left out: flow 3 %.',
        '| predict |',
        '| 12.5 |',
        '| front | 20 | 15 | 5 | 0 |',
        '| /*/labels (1) | sensor_msgs/msg/Image | 14 | 0 | 0.00 |',
        '![outputs of every camera](sheet.png)',
    ):
        assert words in text


def test_a_broken_limit_fails(run):
    assert report(run, KEPT).failures == []
    assert report(run, KEPT, BROKEN).failures == ['flow 0.2 px']
    assert '**broken**' in report_text([report(run, BROKEN)])


def test_images_that_are_not_accounted_for_fail(run):
    assert unaccounted(run) == {}
    for key, value in (('pending', 1), ('used', 14), ('received', 21)):
        spoilt = deepcopy(run)
        spoilt['status']['n: camera front']['values'][key] = str(value)
        assert list(unaccounted(spoilt)) == ['front'], key
        assert report(spoilt, KEPT).failures
    more = deepcopy(run)
    more['played']['/front/image_rect'] = 19
    assert '19 played' in unaccounted(more)['front']


def test_a_node_that_did_not_end_well_fails(run):
    assert report(run | {'exit_code': -9}, KEPT).failures == ['the node ended with code -9']


def test_truth_that_was_compared_with_nothing_fails(run):
    (failure,) = report(run).failures
    assert 'nobody asked' in failure
    assert report(run, exact=False).failures == []


def test_untrained_weights_without_scale_are_said_so(run):
    assert notices(run) == [] and is_metric(run)
    run['status']['n: weights'] = status('warn', 'UNTRAINED')
    run['status']['n: scale'] = status('warn', 'the rig does not fit', source='none')
    assert notices(run) == ['UNTRAINED', 'scale: none. the rig does not fit']
    assert not is_metric(run)
    run['status']['n: scale'] = status('warn', 'the rig does not fit', source='chain')
    assert notices(run)[1] == 'scale: chain. the rig does not fit' and is_metric(run)
    text = report_text([report(run)])
    assert '> **UNTRAINED**' in text
    assert 'No table: nobody asked.' in text


def test_a_limit_without_a_comparison_is_broken():
    assert not Worst('depth', '', 1.0).check().passed
    assert not Mean('share', '', 0.5, True).check().passed
    assert not Faults('labels', 'px').check().passed


def test_tallies_keep_the_worst_the_mean_and_the_first_fault():
    worst = Worst('depth', '', 1.0)
    worst.add(np.array([0.2, 0.5]), 'a')
    worst.add(np.array([0.4]), 'b')
    assert (worst.check().value, worst.check().where, worst.check().count) == (0.5, 'a', 3)
    worst.add(np.array([np.nan]), 'c')
    assert not worst.check().passed
    mean = Mean('share', '', 0.5, at_least=True)
    mean.add(1.0, 1)
    mean.add(0.2, 3)
    assert mean.check().value == pytest.approx(0.4)
    assert not mean.check().passed
    faults = Faults('labels', 'px')
    faults.add(0, 10, 'a')
    faults.add(2, 10, 'b')
    faults.add(1, 10, 'c')
    assert (faults.check().value, faults.check().where, faults.check().count) == (3, 'b', 30)

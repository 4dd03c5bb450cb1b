"""The tables of an evaluation on procedural clips, and the bars of the shipped network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fourd_perception.evaluation.baselines.clip_answers import DIS, MEAN_IMAGE
from fourd_perception.evaluation.clip_evaluation import NETWORK, SOLVED
from fourd_perception.evaluation.clip_scores import (
    FLOW_BINS,
    flow_metric,
    LEAST_BASELINE,
    POSE_METRICS,
    Score,
)
from fourd_perception.evaluation.score_table import Bar, Row, Table
from fourd_perception.evaluation.synthetic import SyntheticScores, values_by_method

# By what the weights were trained on: CPUs alone see less.
ABS_REL = {'cpu': Bar(0.14), 'gpu': Bar(0.1)}
OF_MEAN_IMAGE = Bar(0.4, MEAN_IMAGE)
FLOW = ((Bar(0.2),), (Bar(1.0, DIS),), (Bar(1.0, DIS),), (Bar(0.7, DIS),))
IOU, FALSE_POSITIVE = (Bar(0.6, at_least=True),), (Bar(1.0),)
ROTATION, DIRECTION, AREA = (Bar(0.5),), (Bar(6.0),), (Bar(75.0, at_least=True),)


def tables(scores: SyntheticScores, trained_on: str) -> list[Table]:
    """All tables; the bars are for the four settings together.

    trained_on: what the weights were, a key of `ABS_REL`
    """
    overall = scores.overall
    return [
        Table(
            'Depth',
            _depth(overall, trained_on),
            (
                'One scale a window, the median of the log-ratios.',
                f'The bar of AbsRel is that of weights trained on a {trained_on.upper()}.',
            ),
        ),
        Table(
            'Flow: endpoint error (px) by length of the true flow',
            _flow(overall),
            (
                'Of all pixels whose surface is known, whether or not the other image shows it; '
                'and of the visible ones.',
            ),
        ),
        Table('Masks of what moves', _masks(overall)),
        Table(
            'Poses of neighbouring instants',
            _poses(overall),
            (f'Where the camera moved by {LEAST_BASELINE:.0%} of the median depth or more.',),
        ),
        Table(
            'The network by setting',
            [_setting(*item) for item in scores.groups.items()],
            ('Held-out: shapes and textures that no training shows; not in the tables above.',),
        ),
    ]


def _row(
    overall: Mapping[str, Score],
    metric: str,
    what: str,
    unit: str = '',
    bars: Sequence[Bar] = (),
    judged: str = NETWORK,
    factor: float = 1.0,
    compared: str = 'px',
) -> Row:
    values = {m: factor * v for m, v in values_by_method(overall, metric).items()}
    count = f'{overall[judged].count(metric):,} {compared}'
    return Row(what, values, judged, bars, unit, count)


def _depth(overall: Mapping[str, Score], trained_on: str) -> list[Row]:
    return [
        _row(overall, 'abs_rel', 'AbsRel', bars=(ABS_REL[trained_on], OF_MEAN_IMAGE)),
        _row(overall, 'delta', 'delta < 1.25'),
    ]


def _flow(overall: Mapping[str, Score]) -> list[Row]:
    return [
        _row(
            overall,
            flow_metric(*edges, visible),
            f'{_range(*edges)}{", visible" if visible else ""}',
            bars=() if visible else bars,
        )
        for visible in (False, True)
        for edges, bars in zip(FLOW_BINS, FLOW)
    ]


def _masks(overall: Mapping[str, Score]) -> list[Row]:
    return [
        _row(overall, 'iou', 'IoU where something moves', bars=IOU, compared='images'),
        _row(
            overall,
            'false_positive',
            'called moving where nothing does',
            '%',
            FALSE_POSITIVE,
            factor=100.0,
        ),
    ]


def _poses(overall: Mapping[str, Score]) -> list[Row]:
    judged = SOLVED if SOLVED in overall else NETWORK
    named = zip(
        POSE_METRICS,
        ('rotation, median', 'direction of translation, median', 'AUC@30 of the larger angle'),
        ('degrees', 'degrees', '%'),
        (ROTATION, DIRECTION, AREA),
    )
    return [
        _row(overall, metric, what, unit, bars, judged, compared='pairs')
        for metric, what, unit, bars in named
    ]


def _setting(group: str, scores: Mapping[str, Score]) -> Row:
    network = scores[NETWORK].values
    solved = scores[SOLVED].values if SOLVED in scores else network
    columns = {
        'AbsRel': network.get('abs_rel'),
        **{f'EPE {_range(*b)}': network.get(flow_metric(*b)) for b in FLOW_BINS},
        'IoU': network.get('iou'),
        'false moving (%)': _percent(network.get('false_positive')),
        'rotation': solved.get('rotation'),
        'direction': solved.get('direction'),
        'AUC@30': solved.get('auc_30'),
    }
    return Row(group.replace('_', '-'), {k: v for k, v in columns.items() if v is not None})


def _range(low: float, high: float) -> str:
    return f'{low:g}-{high:g} px' if high < float('inf') else f'over {low:g} px'


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share

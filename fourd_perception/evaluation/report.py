"""What happened in replays, as one readable page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fourd_perception.evaluation.checks import Check
from fourd_perception.grid.ledger import Outcome

RECEIVED, PENDING = 'received', 'pending'
MILLISECONDS = ' (ms)'


@dataclass(frozen=True)
class RunReport:
    """One replay.

    name:      of its folder
    run:       content of its `run.yaml`
    checks:    table of accuracy; empty when there is none
    no_checks: why there is none, in words
    left_out:  which pixels are not in it, and why; empty without a table
    exact:     whether the weights know the truth, so that everything must be compared
    picture:   path of the contact sheet, relative to the report
    """

    name: str
    run: Mapping[str, Any]
    checks: Sequence[Check]
    no_checks: str
    left_out: str
    exact: bool
    picture: str

    @property
    def failures(self) -> list[str]:
        """What must not be, in words: limits that are broken, images that are unaccounted for."""
        found = [_line(c) for c in self.checks if not c.passed]
        if self.exact and not self.checks:
            found.append(f'nothing was compared with the truth: {self.no_checks}')
        found += [f'{camera}: {fault}' for camera, fault in unaccounted(self.run).items()]
        if self.run['exit_code'] != 0:
            found.append(f'the node ended with code {self.run["exit_code"]}')
        return found


def camera_counts(run: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Counters by camera and name, from the node's last diagnostics."""
    keys = (RECEIVED, *(outcome.value for outcome in Outcome), PENDING)
    return {
        name.partition(': camera ')[2]: {key: int(status['values'][key]) for key in keys}
        for name, status in run['status'].items()
        if ': camera ' in name
    }


def unaccounted(run: Mapping[str, Any]) -> dict[str, str]:
    """Why images of a camera are not accounted for, by camera; empty when all are.

    received = the outcomes together + pending (design section 3), nothing is pending in the end,
    and no more is received than was played.
    """
    topic = run['parameters']['image_topic']
    found = {}
    for camera, counts in camera_counts(run).items():
        played = run['played']['/' + topic.replace('{camera}', camera).lstrip('/')]
        settled = sum(n for key, n in counts.items() if key not in (RECEIVED, PENDING))
        if counts[RECEIVED] != settled or counts[PENDING]:
            found[camera] = (
                f'{counts[RECEIVED]} images received, {settled} with an outcome, '
                f'{counts[PENDING]} pending'
            )
        elif counts[RECEIVED] > played:
            found[camera] = f'{counts[RECEIVED]} images received, but {played} played'
    return found


def notices(run: Mapping[str, Any]) -> list[str]:
    """What everybody who looks at the outputs must know: of the weights, and of the scale."""
    found = [notice] if (notice := weights_notice(run)) else []
    scale = status_of(run, 'scale')
    if scale.get('level') == 'warn':
        source = scale.get('values', {}).get('source', 'none')
        found.append(f'scale: {source}. {scale["message"]}')
    return found


def weights_notice(run: Mapping[str, Any]) -> str:
    """What must be known of the weights, such as that they are untrained; mostly empty."""
    weights = status_of(run, 'weights')
    return str(weights['message']) if weights.get('level') == 'warn' else ''


def is_metric(run: Mapping[str, Any]) -> bool:
    """Whether lengths of the outputs are metres."""
    return status_of(run, 'scale').get('values', {}).get('source', 'none') != 'none'


def report_text(reports: Sequence[RunReport]) -> str:
    """The page, in Markdown."""
    lines = ['# Replay report', '', *_overview(reports)]
    for report in reports:
        lines += ['', f'## {report.name}', '']
        lines += [f'> **{notice}**' for notice in notices(report.run)]
        for title, part in (
            ('Accuracy', _accuracy(report)),
            ('Latency', _latency(report.run)),
            ('Images', _counters(report.run)),
            ('Outputs', _outputs(report.run)),
        ):
            lines += ['', f'### {title}', '', *part]
        lines += ['', f'![outputs of every camera]({report.picture})']
    versions = reports[0].run['versions']
    lines += ['', 'Versions: ' + ', '.join(f'{name} {v}' for name, v in versions.items()) + '.']
    return '\n'.join(lines) + '\n'


def _overview(reports: Sequence[RunReport]) -> Iterator[str]:
    rows = []
    for report in reports:
        run = report.run
        scale = status_of(run, 'scale').get('values', {})
        rows.append(
            [
                report.name,
                f'`{run["parameters"]["weights"]}`',
                f'{run["rate"]:.3g}',
                f'{run["slices"]} of {run["slices_available"]}',
                _milliseconds(run['latency'].get('median')),
                str(sum(topic['lost'] or 0 for topic in run['outputs'].values())),
                scale.get('source', 'none'),
                '; '.join(report.failures) or 'passed',
            ]
        )
    head = ['run', 'weights', 'rate', 'slices inferred', 'latency', 'lost', 'scale', 'verdict']
    yield from _table(head, rows)
    yield ''
    yield (
        'Rate: seconds of the recording per second. Latency: median, from the publication of an '
        'image to that of its last output. Lost: messages that were published and not recorded.'
    )


def _accuracy(report: RunReport) -> Iterator[str]:
    if not report.checks:
        yield f'No table: {report.no_checks}.'
        return
    rows = []
    for check in report.checks:
        sign = '>=' if check.at_least else '<='
        rows.append(
            [
                check.what,
                f'{check.value:.3g} {check.unit}'.strip(),
                '' if check.limit is None else f'{sign} {check.limit:g} {check.unit}'.strip(),
                '' if check.limit is None else ('kept' if check.passed else '**broken**'),
                f'{check.count:,}',
                check.where,
            ]
        )
    yield from _table(['', 'found', 'limit', '', 'compared', 'worst'], rows)
    yield ''
    yield report.left_out


def _latency(run: Mapping[str, Any]) -> Iterator[str]:
    values = status_of(run, 'inference').get('values', {})
    stages = {k.removesuffix(MILLISECONDS): v for k, v in values.items() if MILLISECONDS in k}
    yield 'Mean milliseconds of the newest slices, stage by stage, as the node tells:'
    yield ''
    yield from _table(list(stages), [list(stages.values())])
    latency = run['latency']
    if 'median' in latency:
        yield ''
        yield (
            f'From image to last output, over DDS: median {latency["median"]:.0f} ms, 95 % '
            f'within {latency["p95"]:.0f} ms, at most {latency["max"]:.0f} ms '
            f'({latency["count"]} images).'
        )


def _counters(run: Mapping[str, Any]) -> Iterator[str]:
    counts = camera_counts(run)
    met = [o.value for o in Outcome if any(c[o.value] for c in counts.values())]
    rows = [
        [camera, str(c[RECEIVED]), *(str(c[key]) for key in met), str(c[PENDING])]
        for camera, c in counts.items()
    ]
    yield from _table(['camera', RECEIVED, *met, PENDING], rows)
    faults = unaccounted(run)
    yield ''
    yield (
        'Received is the sum of the rest for every camera.'
        if not faults
        else f'**Unaccounted for: {faults}.**'
    )


def _outputs(run: Mapping[str, Any]) -> Iterator[str]:
    """One line a topic; equal topics of all cameras together."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, topic in run['outputs'].items():
        for camera in run['parameters']['cameras']:
            name = name.replace(f'/{camera}/', '/*/')
        groups.setdefault(name, []).append(topic)
    rows = []
    for name, topics in groups.items():
        counts = sorted({topic['count'] for topic in topics})
        lost = [topic['lost'] for topic in topics]
        rows.append(
            [
                f'{name} ({len(topics)})' if '/*/' in name else name,
                topics[0]['type'],
                ' to '.join(map(str, counts[:: max(len(counts) - 1, 1)])),
                'unknown' if None in lost else str(sum(lost)),
                f'{sum(topic["bytes"] for topic in topics) / 1e6:.2f}',
            ]
        )
    yield from _table(['topic', 'type', 'messages', 'lost', 'MB'], rows)
    for name, reason in run['skipped'].items():
        yield f'\n{name} was not recorded: {reason}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield '| ' + ' | '.join(head) + ' |'
    yield '|' + ' --- |' * len(head)
    for row in rows:
        yield '| ' + ' | '.join(cell.replace('|', '/') for cell in row) + ' |'


def status_of(run: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The node's status of this name; empty when it never came."""
    return next((s for key, s in run['status'].items() if key.endswith(f': {name}')), {})


def _milliseconds(value: float | None) -> str:
    return '' if value is None else f'{value:.0f} ms'


def _line(check: Check) -> str:
    return f'{check.what} {check.value:.3g} {check.unit}'.strip()

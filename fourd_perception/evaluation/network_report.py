"""Evaluations of a network as files: a page to read, and values to put side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from fourd_perception.evaluation.score_table import markdown, markdown_table, number, Table
from fourd_perception.model.prediction import PredictorInfo

KINDS = ('synthetic', 'real')


@dataclass(frozen=True)
class NetworkReport:
    """What an evaluation found.

    kind:     one of `KINDS`; names its files
    info:     of the predictor
    settings: with which the same numbers come again
    """

    kind: str
    info: PredictorInfo
    settings: Mapping[str, Any]
    tables: Sequence[Table]

    @property
    def failures(self) -> list[str]:
        """Bars that are missed, in words."""
        return [failure for table in self.tables for failure in table.failures]

    def text(self) -> str:
        """The page, in Markdown."""
        told = ', '.join(f'{name} {value}' for name, value in self.settings.items())
        lines = [f'# {self.info.name} on {self.kind} input' + (f' ({told})' if told else ''), '']
        if self.info.notice:
            lines += [f'> **{self.info.notice}**', '']
        verdict = f'{len(self.failures)} bars missed' if self.failures else 'every bar kept'
        return '\n'.join([*lines, markdown(self.tables), f'{verdict}.', ''])

    def write(self, out: Path) -> Path:
        """Write the page and the values into a folder, which is made; the page's path."""
        out.mkdir(parents=True, exist_ok=True)
        record = {
            'weights': self.info.name,
            'sha256': self.info.sha256,
            'settings': dict(self.settings),
            'rows': [row for table in self.tables for row in table.record()],
        }
        (out / f'{self.kind}.json').write_text(json.dumps(record, indent=1) + '\n')
        page = out / f'{self.kind}.md'
        page.write_text(self.text())
        return page


def side_by_side(runs: Sequence[Path]) -> str:
    """One table of the judged values of several evaluations, a column for each folder.

    Raises FileNotFoundError for a folder that no evaluation has written to.
    """
    columns = [_judged(run) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [
        [f'{table}: {what}' + (f' ({unit})' if unit else '')]
        + [number(column.get((table, what, unit))) for column in columns]
        for table, what, unit in keys
    ]
    return '\n'.join(markdown_table(['', *(run.name for run in runs)], rows))


def _judged(run: Path) -> dict[tuple[str, str, str], float]:
    """By table, quantity and unit: the value of the method that the bars are for."""
    records = list(_records(run))
    if not records:
        raise FileNotFoundError(
            f'{run} holds neither {KINDS[0]}.json nor {KINDS[1]}.json; give the --out of '
            '`evaluate synthetic` or `evaluate real`'
        )
    return {
        (row['table'], row['what'], row['unit']): row['values'][row['judged']]
        for record in records
        for row in record['rows']
        if row['judged'] in row['values']
    }


def _records(run: Path) -> Iterator[Mapping[str, Any]]:
    for kind in KINDS:
        path = run / f'{kind}.json'
        if path.is_file():
            yield json.loads(path.read_text())

"""Tables of scores: one row a quantity, one column a method, and bars that must be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import math
from typing import Any


@dataclass(frozen=True)
class Bar:
    """The most a value may be (the least, if `at_least`), absolute or times that of a baseline.

    beside: name of the baseline; empty for an absolute bar
    """

    limit: float
    beside: str = ''
    at_least: bool = False

    def kept(self, value: float, values: Mapping[str, float]) -> bool:
        """Whether a value keeps the bar; `values` holds the baselines'. NaN keeps none."""
        limit = self.limit * values.get(self.beside, math.nan) if self.beside else self.limit
        return value >= limit if self.at_least else value <= limit

    def __str__(self) -> str:
        sign = '>=' if self.at_least else '<='
        return f'{sign} {self.limit:g}' + (f' x {self.beside}' if self.beside else '')


@dataclass(frozen=True)
class Row:
    """One quantity.

    what, unit: in words
    values:     by method; methods without a value have none
    judged:     the method that the bars are for
    bars:       all of which must be kept
    count:      what was compared, such as `12,304 px`; empty where a table tells nothing of it
    missing:    for want of what the judged method has no value
    """

    what: str
    values: Mapping[str, float]
    judged: str = ''
    bars: Sequence[Bar] = ()
    unit: str = ''
    count: str = ''
    missing: str = ''

    @property
    def passed(self) -> bool:
        """Whether every bar is kept; bars without a value are broken."""
        value = self.values.get(self.judged, math.nan)
        return all(bar.kept(value, self.values) for bar in self.bars)

    @property
    def found(self) -> str:
        """The judged value, or what it is missing for, in words."""
        if self.judged not in self.values:
            return self.missing or 'no value'
        return f'{number(self.values[self.judged])} {self.unit}'.rstrip()


@dataclass(frozen=True)
class Table:
    """Rows of one kind, and words below them."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def methods(self) -> tuple[str, ...]:
        """Columns, in the order in which they are first met."""
        return tuple(dict.fromkeys(method for row in self.rows for method in row.values))

    @property
    def failures(self) -> list[str]:
        """The rows whose bars are broken, in words."""
        return [
            f'{self.title}: {row.what}: {row.found} ({", ".join(map(str, row.bars))})'
            for row in self.rows
            if not row.passed
        ]

    def record(self) -> list[dict[str, Any]]:
        """The rows as plain values, for JSON."""
        return [
            {
                'table': self.title,
                'what': row.what,
                'unit': row.unit,
                'values': {m: v for m, v in row.values.items() if math.isfinite(v)},
                'judged': row.judged,
                'bars': [str(bar) for bar in row.bars],
                'passed': row.passed if row.bars else None,
                'missing': row.missing,
            }
            for row in self.rows
        ]


def markdown(tables: Sequence[Table]) -> str:
    """All tables, one below the other."""
    return '\n'.join(line for table in tables for line in (*_lines(table), ''))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table, its first column to the left and the others to the right."""
    yield '| ' + ' | '.join(head) + ' |'
    yield '| --- |' + ' ---: |' * (len(head) - 1)
    for row in rows:
        yield '| ' + ' | '.join(cell.replace('|', '/') for cell in row) + ' |'


def _lines(table: Table) -> Iterator[str]:
    yield f'## {table.title}'
    yield ''
    barred = any(row.bars for row in table.rows)
    counted = any(row.count for row in table.rows)
    head = ['', *table.methods, *(['bar', ''] if barred else []), *(['of'] if counted else [])]
    yield from markdown_table(head, [_cells(row, table, barred, counted) for row in table.rows])
    for note in table.notes:
        yield ''
        yield note


def _cells(row: Row, table: Table, barred: bool, counted: bool) -> list[str]:
    cells = [row.what + (f' ({row.unit})' if row.unit else '')]
    for method in table.methods:
        cell = number(row.values.get(method))
        cells.append(f'**{cell}**' if method == row.judged and row.bars else cell)
    if barred:
        verdict = ('ok' if row.passed else f'**{row.missing or "below"}**') if row.bars else ''
        cells += [', '.join(map(str, row.bars)), verdict]
    return [*cells, row.count] if counted else cells


def number(value: float | None) -> str:
    """Three digits that tell; nothing for None."""
    if value is None:
        return ''
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'

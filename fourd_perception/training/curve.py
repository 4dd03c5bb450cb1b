"""Errors against training time: `python -m fourd_perception.training.curve RUN... --out PNG`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from fourd_perception.training.training_log import LOG, read_log
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMNS = 4
CELL = (3.2, 2.2)  # inches


@dataclass(frozen=True)
class Curve:
    """Errors of trainings that began one from another.

    points: of every error by name: (minutes since the first began, value)
    ends:   minutes at which each training was over
    """

    points: dict[str, list[tuple[float, float]]]
    ends: list[float]


def validation_curve(runs: Sequence[Path]) -> Curve:
    """Errors that runs, in the order of training, have logged; ValueError where one has none."""
    points: dict[str, list[tuple[float, float]]] = {}
    ends = [0.0]
    for run in runs:
        lines = read_log(run / LOG)
        validations = [line for line in lines if line['kind'] == 'validation']
        if not validations:
            raise ValueError(f'{run / LOG} has no validation; give the folder of a training')
        for line in validations:
            for name, value in line['errors'].items():
                if value is not None:
                    minutes = ends[-1] + line['seconds'] / 60
                    points.setdefault(name, []).append((minutes, value))
        ends.append(ends[-1] + lines[-1]['seconds'] / 60)
    return Curve(points, ends[1:])


def draw(curve: Curve, title: str) -> Figure:
    """One panel for each error; dashed lines where one training went over into the next."""
    columns = min(COLUMNS, len(curve.points))
    rows = ceil(len(curve.points) / columns)
    figure = Figure((CELL[0] * columns, CELL[1] * rows + 0.4), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for i, (name, points) in enumerate(curve.points.items(), 1):
        axes = figure.add_subplot(rows, columns, i)
        axes.plot(*zip(*points), marker='.', color='tab:blue')
        for end in curve.ends[:-1]:
            axes.axvline(end, color='grey', linestyle='--', linewidth=0.8)
        axes.set_title(f'{name}: {points[-1][1]:.3g}', fontsize=10)
        axes.set_xlim(0, curve.ends[-1])
        axes.grid(alpha=0.3)
        if i > len(curve.points) - columns:
            axes.set_xlabel('minutes of training')
    return figure


def main() -> None:
    """Draw the curve of trainings."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('runs', type=Path, nargs='+', metavar='RUN', help='folders of trainings')
    parser.add_argument('--out', type=Path, required=True, metavar='PNG')
    arguments = parser.parse_args()
    names = ', then '.join(run.name for run in arguments.runs)
    draw(validation_curve(arguments.runs), names).savefig(arguments.out)
    print(arguments.out)


if __name__ == '__main__':
    main()

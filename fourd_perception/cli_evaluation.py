"""The verb `evaluate`: replays, procedural clips, real recordings, and runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING

from fourd_perception.cli_verb import count, DONE, FAILED, verb

if TYPE_CHECKING:  # torch comes with it
    from collections.abc import Sequence

    from fourd_perception.evaluation.examples import Example
    from fourd_perception.evaluation.network_report import NetworkReport

REPLAY = """\
Score, report and picture replays: OUT/report.md, and contact_sheet.png in every run. Where the
recording knows the truth and the run is metric, accuracy is tabled; a run with truth: weights must
keep every limit of the table, else the exit code is 1.
"""
SYNTHETIC = """\
Score a network on procedural clips that it has never seen, at 256x192, beside classical methods on
the same clips: depth, flow, masks and poses, hand-held, on a rig, standing still and in a street,
and apart from these with shapes and textures that no training shows. Writes synthetic.md, .json
and .png to OUT; exit code 1 where a bar of docs/accuracy.md is missed.

  fourd-perception evaluate synthetic --seed 1 --weights fourd-small
"""
REAL = """\
Score a network on real recordings, beside classical methods on the same pixels. DATA holds the
folders bedroom_video, room_rgbd and four_cameras_balance (docs/accuracy.md). Writes real.md, .json
and .png to OUT; exit code 1 where a bar is missed, as are those of a folder that is not there.

  fourd-perception evaluate real ../shared/data --weights fourd-small
"""
TABLE = """\
Put what `evaluate synthetic` and `evaluate real` have found into one table: a column for each
folder that they wrote to, named after it.

  fourd-perception evaluate table out/full out/no_rays out/no_pairs
"""
OUT = Path('out/evaluation')


def add_evaluate_verb(verbs: Any) -> None:
    """Add `evaluate` to the command line."""
    parser = verbs.add_parser('evaluate', help='score and picture results')
    kinds = parser.add_subparsers(title='what to evaluate', required=True, metavar='KIND')
    replays = verb(kinds, 'replay', 'outputs that `replay` recorded', REPLAY)
    add = replays.add_argument
    add('runs', type=Path, nargs='+', metavar='RUN', help='folder given to replay as --out')
    add('--out', type=Path, metavar='DIR', help='where report.md goes (beside the first run)')
    replays.set_defaults(run=evaluate_replay)

    synthetic = verb(kinds, 'synthetic', 'a network on procedural clips', SYNTHETIC)
    add = synthetic.add_argument
    add('--seed', type=int, default=0, metavar='S', help='other clips for every number (0)')
    add('--clips', type=count, default=16, metavar='N', help='of each setting (16)')
    add(
        '--trained-on',
        choices=('cpu', 'gpu'),
        default='cpu',
        help='what the weights were trained on, which their bar of depth depends on (cpu)',
    )
    _add_network(synthetic)
    synthetic.set_defaults(run=evaluate_synthetic)

    real = verb(kinds, 'real', 'a network on real recordings', REAL)
    real.add_argument('data', type=Path, metavar='DATA', help='folder of the recordings')
    _add_network(real)
    real.set_defaults(run=evaluate_real)

    table = verb(kinds, 'table', 'several evaluations side by side', TABLE)
    table.add_argument('runs', type=Path, nargs='+', metavar='DIR', help='--out of evaluations')
    table.set_defaults(run=evaluate_table)


def _add_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add('--weights', required=True, metavar='W', help='as for the node')
    add('--device', default='cpu', help='torch device (cpu)')
    add('--out', type=Path, default=OUT, metavar='DIR', help=f'where results go ({OUT})')


def evaluate_replay(args: argparse.Namespace) -> int:
    """Score, report and picture runs of `replay`."""
    from fourd_perception.bag.run_evaluation import evaluate_runs
    from fourd_perception.progress import Progress

    with Progress('evaluating') as progress:
        report, failures = evaluate_runs(
            args.runs, args.out, lambda run, share: progress.show(share, run)
        )
    print(report.read_text())
    print(f'written to {report}')
    for failure in failures:
        print(f'not as it must be: {failure}', file=sys.stderr)
    return FAILED if failures else DONE


def evaluate_synthetic(args: argparse.Namespace) -> int:
    """Score a network on procedural clips."""
    from fourd_perception.engine.predictors import load_predictor
    from fourd_perception.evaluation import synthetic
    from fourd_perception.evaluation.network_report import NetworkReport
    from fourd_perception.evaluation.synthetic_tables import tables
    from fourd_perception.progress import Progress

    predictor = load_predictor(args.weights, args.device)
    with Progress('evaluating') as progress:
        scores = synthetic.evaluate_synthetic(predictor, args.seed, args.clips, progress.show)
    settings = {'seed': args.seed, 'clips': args.clips, 'trained on': args.trained_on}
    found = tables(scores, args.trained_on)
    report = NetworkReport('synthetic', predictor.info, settings, found)
    return _finished(report, args.out, scores.examples)


def evaluate_real(args: argparse.Namespace) -> int:
    """Score a network on real recordings."""
    from fourd_perception.bag.real_evaluation import evaluate_recordings
    from fourd_perception.engine.predictors import load_predictor
    from fourd_perception.evaluation.network_report import NetworkReport
    from fourd_perception.progress import Progress

    predictor = load_predictor(args.weights, args.device)
    with Progress('evaluating') as progress:
        tables, examples = evaluate_recordings(
            predictor, args.data, lambda name, share: progress.show(share, name)
        )
    return _finished(NetworkReport('real', predictor.info, {}, tables), args.out, examples)


def evaluate_table(args: argparse.Namespace) -> int:
    """Print evaluations side by side."""
    from fourd_perception.evaluation.network_report import side_by_side

    print(side_by_side(args.runs))
    return DONE


def _finished(report: NetworkReport, out: Path, examples: Sequence[Example]) -> int:
    """Write page, values and picture; tell of them, and whether every bar is kept."""
    from fourd_perception.viz.answer_sheet import answer_sheet
    from PIL import Image

    page = report.write(out)
    title = f'{report.info.name} on {report.kind} input'
    picture = out / f'{report.kind}.png'
    Image.fromarray(answer_sheet(examples, title, report.info.notice)).save(picture)
    print(report.text())
    print(f'written to {page}, pictured in {picture}')
    for failure in report.failures:
        print(f'bar missed: {failure}', file=sys.stderr)
    return FAILED if report.failures else DONE

"""Scores, report and pictures of replays, from what `replay` has left in their folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import os
from pathlib import Path
from typing import Any

from fourd_perception.bag.outputs import RecordedOutputs
from fourd_perception.bag.reader import BagError
from fourd_perception.bag.run_sheet import draw_sheet
from fourd_perception.evaluation.report import (
    is_metric,
    report_text,
    RunReport,
    status_of,
    weights_notice,
)
from fourd_perception.evaluation.scoring import score, score_network, ScoredNode, Scores
from fourd_perception.synthetic.recording import SyntheticRecording
import yaml

SHEET = 'contact_sheet.png'


def evaluate_runs(
    runs: Sequence[Path], out: Path | None, progress: Callable[[str, float], None]
) -> tuple[Path, list[str]]:
    """Write `report.md` to `out` (beside the first run) and a contact sheet into every run.

    progress: takes the name of a run and the share of it that is scored
    Returns the path of the report, and what is not as it must be, in words. Raises BagError for a
    folder that no replay has filled.
    """
    out = out or runs[0].parent
    out.mkdir(parents=True, exist_ok=True)
    reports = [evaluate_run(run, out, progress) for run in runs]
    path = out / 'report.md'
    path.write_text(report_text(reports))
    return path, [f'{r.name}: {failure}' for r in reports for failure in r.failures]


def evaluate_run(folder: Path, out: Path, progress: Callable[[str, float], None]) -> RunReport:
    """Score one replay and draw its contact sheet."""
    run = read_run(folder)
    played = Path(run['bag'])
    recording = SyntheticRecording.load(played) if (played / 'scene.yaml').is_file() else None
    parameters = run['parameters']
    exact = parameters['weights'].startswith('truth:')
    no_checks = _why_no_checks(run, recording, exact)
    scores = Scores([], '')

    def show(done: int, total: int) -> None:
        progress(folder.name, done / total)

    with (
        RecordedOutputs(folder / 'bag', parameters['output_prefix']) as outputs,
        RecordedOutputs(played) as inputs,
    ):
        if recording is not None and not no_checks:
            node = _scored_node(run)
            if exact:
                scores = score(outputs, recording, node, show)
            else:
                scores = score_network(outputs, recording, node, is_metric(run), show)
        truth = None if no_checks else recording
        draw_sheet(folder / SHEET, outputs, inputs, run, truth)
    return RunReport(
        name=folder.name,
        run=run,
        checks=scores.checks,
        no_checks=no_checks,
        left_out=scores.left_out,
        exact=exact,
        picture=os.path.relpath(folder / SHEET, out),
    )


def read_run(folder: Path) -> Mapping[str, Any]:
    """Content of a replay's `run.yaml`."""
    path = folder / 'run.yaml'
    if not path.is_file():
        raise BagError(f'{path} does not exist; give the folder that `replay` had as --out')
    return yaml.safe_load(path.read_text())


def _why_no_checks(
    run: Mapping[str, Any], recording: SyntheticRecording | None, exact: bool
) -> str:
    """Why accuracy cannot be told, in words; empty where it can."""
    if recording is None:
        return f'{run["bag"]} does not know the truth (only recordings of `synth` do)'
    if notice := weights_notice(run):
        return notice
    if not is_metric(run) and (exact or not run['parameters']['allow_unscaled']):
        return 'lengths have no scale, so none can be right or wrong'
    if run['loops'] > 1 or run['interrupted']:
        return 'only one whole pass over a recording is scored'
    return ''


def _scored_node(run: Mapping[str, Any]) -> ScoredNode:
    parameters = run['parameters']
    return ScoredNode(
        patch=int(status_of(run, 'weights')['values']['patch (px)']),
        output_size=parameters['output.size'],
        pixel_budget=parameters['pixel_budget'],
        window_length=parameters['window.length'],
        window_max_gap=parameters['window.max_gap'],
        world_frame=parameters['frames.world'],
        base_frame=parameters['frames.base'],
    )

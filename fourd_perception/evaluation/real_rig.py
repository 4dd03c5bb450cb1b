"""A rig that stands still: whatever the network sees moving, but people, is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
from fourd_perception.evaluation.clip_evaluation import NETWORK, network_answers
from fourd_perception.evaluation.clip_scores import Answer
from fourd_perception.evaluation.cross_view import best_agreement
from fourd_perception.evaluation.picture_grids import Pictures
from fourd_perception.evaluation.real_video import NO_FLOW
from fourd_perception.evaluation.score_table import Bar, Row, Table
from fourd_perception.geometry.poses import rotation_angle
from fourd_perception.model.prediction import Predictor
import numpy as np

WINDOW = 4
# Grey levels of the standard deviation over time above which something moves there, and by how
# many pixels around that the place where it moves is wider.
NOISE, MARGIN = 8.0, 4
BARS = ROTATION, TRANSLATION, FLOW, DYNAMIC = Bar(0.1), Bar(0.5), Bar(0.2), Bar(1.0)
NO_MASKS = 'the weights give no masks'


def envelope(images: np.ndarray) -> np.ndarray:
    """Bool [h, w]: where anything moves in images uint8 [T, h, w, 3] of a camera that does not."""
    noise = images.mean(axis=-1, dtype=float).std(axis=0)
    side = 2 * MARGIN + 1
    return cv2.dilate((noise > NOISE).astype(np.uint8), np.ones((side, side))).astype(bool)


@dataclass(frozen=True, eq=False)
class _Window:
    """What was found in one window.

    jitter:  by method, float64 [N, 2], of every camera from instant to instant: degrees, and
             length in percent of the median depth
    flow:    length of the flow of each background pixel
    dynamic: bool of each background pixel
    agreement: `best_agreement` of the newest instant
    """

    jitter: dict[str, np.ndarray]
    flow: np.ndarray
    dynamic: np.ndarray
    agreement: tuple[float, float, float]


def score_rig(
    predictor: Predictor,
    rig: Pictures,
    room_from_camera: np.ndarray,
    progress: Callable[[float], None],
) -> tuple[Table, Answer, int]:
    """Jitter of poses, flow and masks of the background, and agreement of depths across views.

    room_from_camera: float64 [V, 4, 4], metres. Windows of four instants that share one.
    Returns the table, the network's answer to the last window, and where that begins.
    """
    background = ~np.stack([envelope(view) for view in rig.images])
    for view, layout in enumerate(rig.layouts):
        inside = np.zeros_like(background[view])
        inside[layout.rows, layout.columns] = True
        background[view] &= inside
    starts = range(0, rig.images.shape[1] - WINDOW + 1, WINDOW - 1)
    windows = []
    for number, start in enumerate(starts):
        grid = rig.grid(range(start, start + WINDOW))
        answers = network_answers(predictor, grid)
        windows.append(_window(answers, background, rig.intrinsics, room_from_camera))
        progress((number + 1) / len(starts))
    return _table(windows, rig.images.shape[1], background), answers[NETWORK], starts[-1]


def _window(
    answers: dict[str, Answer],
    background: np.ndarray,
    intrinsics: np.ndarray,
    room_from_camera: np.ndarray,
) -> _Window:
    network = answers[NETWORK]
    assert network.depth is not None
    median = float(np.median(network.depth))
    jitter = {}
    for method, answer in answers.items():
        if answer.newer_from_older is not None:
            poses = answer.newer_from_older.reshape(-1, 4, 4)
            turned = np.degrees(rotation_angle(poses[:, :3, :3]))
            moved = 100 * np.linalg.norm(poses[:, :3, 3], axis=-1) / median
            jitter[method] = np.stack([turned, moved], axis=-1)
    still = np.broadcast_to(background[:, None], network.depth.shape)
    flow, dynamic = np.empty(0), np.empty(0, bool)
    if network.flow_forward is not None:
        length = np.hypot(*np.moveaxis(network.flow_forward[:, :-1], 2, 0))
        flow = length[still[:, :-1]]
    if network.dynamic is not None:
        dynamic = network.dynamic[still]
    agreement = best_agreement(network.depth[:, -1], background, intrinsics, room_from_camera)
    return _Window(jitter, flow, dynamic, agreement)


def _table(windows: Sequence[_Window], instants: int, background: np.ndarray) -> Table:
    def rms(method: str, column: int) -> float:
        found = np.concatenate([w.jitter[method][:, column] for w in windows])
        return float(np.sqrt(np.mean(found**2)))

    methods = list(windows[0].jitter)
    judged = methods[-1]
    flow = np.concatenate([w.flow for w in windows])
    dynamic = np.concatenate([w.dynamic for w in windows])
    apart, share, overlap = np.nanmean([w.agreement for w in windows], axis=0)

    def mean(values: np.ndarray) -> dict[str, float]:
        return {NETWORK: float(values.mean())} if len(values) else {}

    rows = [
        Row('rotation jitter', {m: rms(m, 0) for m in methods}, judged, (ROTATION,), 'degrees'),
        Row(
            'translation jitter',
            {m: rms(m, 1) for m in methods},
            judged,
            (TRANSLATION,),
            '% of median depth',
        ),
        Row(
            'flow of the background, mean',
            mean(flow),
            NETWORK,
            (FLOW,),
            'px',
            f'{len(flow):,} px',
            '' if len(flow) else NO_FLOW,
        ),
        Row(
            'dynamic pixels of the background',
            mean(100 * dynamic),
            NETWORK,
            (DYNAMIC,),
            '%',
            f'{len(dynamic):,} px',
            '' if len(dynamic) else NO_MASKS,
        ),
        Row('depths of two views apart, median', {NETWORK: 100 * apart}, unit='%'),
        Row('depths of two views within 10 %', {NETWORK: 100 * share}, unit='%'),
        Row('background that two views share', {NETWORK: 100 * overlap}, unit='%'),
    ]
    title = 'four_cameras_balance: nothing moves but people'
    return Table(title, rows, [_note(instants, background)])


def _note(instants: int, background: np.ndarray) -> str:
    return (
        f'{instants} instants in windows of {WINDOW}; jitter is the root mean square over cameras '
        f'and neighbouring instants. Background, {background.mean():.0%} of the pixels: standard '
        f'deviation over time up to {NOISE:g} grey levels, {MARGIN} px away from all others. '
        'Depths of the newest instant of each window are brought into the other view by the known '
        'poses, at the scale at which most of them agree.'
    )

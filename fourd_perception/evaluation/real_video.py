"""Flow on a video whose motion nobody knows: how well it explains one frame by another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fourd_perception.evaluation.baselines.clip_answers import DIS, ZERO_FLOW
from fourd_perception.evaluation.baselines.dis_flow import dis_flow
from fourd_perception.evaluation.clip_evaluation import NETWORK
from fourd_perception.evaluation.photometric import consistent, photometric_error
from fourd_perception.evaluation.picture_grids import Pictures
from fourd_perception.evaluation.score_table import Bar, Row, Table
from fourd_perception.model.prediction import Predictor
import numpy as np

STRIDES = (1, 4)
# Issue: at most .6 times the error of zero flow, and within 1.3 times that of DIS.
BARS = (Bar(0.6, ZERO_FLOW), Bar(1.3, DIS))
NO_FLOW = 'the weights give no flow'


def score_video(predictor: Predictor, video: Pictures, progress: Callable[[float], None]) -> Table:
    """Photometric error of every pair of frames 1 and 4 apart, beside DIS and zero flow.

    Compared are, for all methods alike, the pixels at which the network's flow and DIS's both are
    consistent with their flow back; how many each finds is told. Of weights that give no flow the
    table has no value, and DIS chooses the pixels alone.
    """
    count = video.images.shape[1]
    total = sum(count - stride for stride in STRIDES)
    done, rows = 0, []
    for stride in STRIDES:
        pairs = []
        for first in range(count - stride):
            pairs.append(_pair(predictor, video, first, stride))
            done += 1
            progress(done / total)
        rows += _rows(stride, pairs)
    return Table('bedroom_video: flow', rows)


@dataclass(frozen=True)
class _Pair:
    """By method: summed error at the pixels that count, and share of consistent pixels."""

    errors: dict[str, float]
    found: dict[str, float]
    compared: int


def _pair(predictor: Predictor, video: Pictures, first: int, stride: int) -> _Pair:
    images = video.images[0, first], video.images[0, first + stride]
    flows = {
        **_network_flows(predictor, video, first, stride),
        DIS: (dis_flow(*images), dis_flow(*images[::-1])),
    }
    agrees = {method: consistent(*both) for method, both in flows.items()}
    same = np.logical_and.reduce(list(agrees.values()))
    forward = {method: both[0] for method, both in flows.items()}
    forward[ZERO_FLOW] = np.zeros_like(forward[DIS])
    return _Pair(
        {m: float(photometric_error(*images, flow)[same].sum()) for m, flow in forward.items()},
        {method: float(some.mean()) for method, some in agrees.items()},
        int(same.sum()),
    )


def _rows(stride: int, pairs: Sequence[_Pair]) -> list[Row]:
    compared = sum(pair.compared for pair in pairs)
    means = {
        method: sum(pair.errors[method] for pair in pairs) / compared if compared else np.nan
        for method in pairs[0].errors
    }
    shares = {m: 100 * float(np.mean([p.found[m] for p in pairs])) for m in pairs[0].found}
    name, told = f'photometric error, stride {stride}', f'{compared:,} px'
    missing = '' if NETWORK in means else NO_FLOW
    return [
        Row(name, means, NETWORK, BARS, 'grey levels', told, missing),
        Row(f'pixels consistent, stride {stride}', shares, unit='%'),
    ]


def _network_flows(
    predictor: Predictor, video: Pictures, first: int, stride: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Flow [h, w, 2] from a frame to the one `stride` later, and back; {} if there is none."""
    prediction = predictor.predict(video.grid([first, first + stride]))
    if prediction.flow_forward is None or prediction.flow_backward is None:
        return {}
    forward, backward = prediction.flow_forward[0, 0], prediction.flow_backward[0, 1]
    there, back = (flow.permute(1, 2, 0).cpu().numpy() for flow in (forward, backward))
    return {NETWORK: (there, back)}

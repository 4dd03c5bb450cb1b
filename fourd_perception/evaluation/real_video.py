"""Flow on a video whose motion nobody knows: how well it explains one frame by another."""

from __future__ import annotations

from collections.abc import Callable

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


def score_video(predictor: Predictor, video: Pictures, progress: Callable[[float], None]) -> Table:
    """Photometric error of every pair of frames 1 and 4 apart, beside DIS and zero flow.

    Compared are, for all methods alike, the pixels at which the network's flow and DIS's both are
    consistent with their flow back; how many each finds is told.
    """
    count = video.images.shape[1]
    total = sum(count - stride for stride in STRIDES)
    done, rows = 0, []
    for stride in STRIDES:
        errors: dict[str, float] = {NETWORK: 0.0, DIS: 0.0, ZERO_FLOW: 0.0}
        found: dict[str, float] = {NETWORK: 0.0, DIS: 0.0}
        compared = 0
        for first in range(count - stride):
            pair = video.images[0, first], video.images[0, first + stride]
            flows = {
                NETWORK: _network_flow(predictor, video, first, stride),
                DIS: (dis_flow(*pair), dis_flow(*pair[::-1])),
            }
            same = np.ones(pair[0].shape[:2], bool)
            for method, both in flows.items():
                agrees = consistent(*both)
                found[method] += float(agrees.mean()) / (count - stride)
                same &= agrees
            flows[ZERO_FLOW] = (np.zeros_like(flows[DIS][0]),) * 2
            for method, (forward, _) in flows.items():
                errors[method] += float(photometric_error(*pair, forward)[same].sum())
            compared += int(same.sum())
            done += 1
            progress(done / total)
        means = {m: e / compared if compared else np.nan for m, e in errors.items()}
        rows += [
            Row(
                f'photometric error, stride {stride}',
                means,
                NETWORK,
                BARS,
                'grey levels',
                f'{compared:,} px',
            ),
            Row(
                f'pixels consistent, stride {stride}',
                {m: 100 * s for m, s in found.items()},
                unit='%',
            ),
        ]
    return Table('bedroom_video: flow', rows)


def _network_flow(
    predictor: Predictor, video: Pictures, first: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flow [h, w, 2] from a frame to the one `stride` later, and back."""
    prediction = predictor.predict(video.grid([first, first + stride]))
    if prediction.flow_forward is None or prediction.flow_backward is None:
        raise ValueError(
            f'weights {predictor.info.name}: without a flow module there is no flow to score; '
            'give weights that have one'
        )
    forward, backward = prediction.flow_forward[0, 0], prediction.flow_backward[0, 1]
    return forward.permute(1, 2, 0).cpu().numpy(), backward.permute(1, 2, 0).cpu().numpy()

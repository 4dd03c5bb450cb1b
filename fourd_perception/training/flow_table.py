"""Endpoint errors of a flow module by length of the true flow: of `WEIGHTS` of a training.

On layered pairs and pairs of scenes that no training draws, beside the module untrained, zero flow
and OpenCV's DIS: `python -m fourd_perception.training.flow_table out/train/flow/last.pt`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json

from fourd_perception.evaluation.baselines.clip_answers import DIS, ZERO_FLOW
from fourd_perception.evaluation.baselines.dis_flow import dis_flow
from fourd_perception.evaluation.clip_evaluation import NETWORK, score_clips
from fourd_perception.evaluation.clip_scores import Answer, FLOW_BINS, flow_metric, pooled, Score
from fourd_perception.evaluation.score_table import markdown, Row, Table
from fourd_perception.geometry.clips import Clips
from fourd_perception.model.checkpoint_config import CONFIG_KEY
from fourd_perception.model.checkpoint_files import open_tensors
from fourd_perception.model.heads.flow import FlowConfig, FlowModule
from fourd_perception.model.public_checkpoints import local_file
from fourd_perception.training.flow import flow_answers, held_out_pairs
from fourd_perception.training.plain_values import built
import numpy as np
import torch

SIZES = ((96, 128), (192, 256))
UNTRAINED = 'untrained'


def main() -> None:
    """Print the tables of one file of weights, as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('weights', help='a file of a training, or the folder that it wrote')
    parser.add_argument('--pairs', type=int, default=48, help='of each kind (default 48)')
    arguments = parser.parse_args()
    trained = flow_module(arguments.weights)
    torch.manual_seed(0)
    modules = {NETWORK: trained, UNTRAINED: FlowModule(trained.config).eval()}
    tables = [
        error_table(f'{kind}, {size[1]}x{size[0]}', clips, modules)
        for size in SIZES
        for kind, clips in held_out_pairs(size, arguments.pairs, torch.device('cpu')).items()
    ]
    print(markdown(tables))


def flow_module(weights: str) -> FlowModule:
    """The module of a file of weights, ready to infer; ValueError for one of another network."""
    file = open_tensors(local_file(weights))
    config = json.loads(file.metadata.get(CONFIG_KEY, '{}'))
    module = FlowModule(built(FlowConfig, config, f'{file.path}: flow module'))
    module.load_state_dict({name: tensor.float() for name, tensor in file.tensors.items()})
    return module.eval()


def error_table(title: str, groups: Sequence[Clips], modules: Mapping[str, FlowModule]) -> Table:
    """Mean endpoint error in pixels of each method, over all pixels and over the visible ones."""

    def answers(clip: Clips) -> dict[str, Answer]:
        return {
            **{name: flow_answers(module, clip)[NETWORK] for name, module in modules.items()},
            **classical_answers(clip),
        }

    scores = [score_clips(clips, answers) for clips in groups]
    found = {name: pooled(score[name] for score in scores) for name in scores[0]}
    rows = [_row(found, *edges, visible) for visible in (False, True) for edges in FLOW_BINS]
    return Table(title, rows)


def classical_answers(clip: Clips) -> dict[str, Answer]:
    """Zero flow, and DIS, from the first of two instants."""
    images = clip.images[0, 0].permute(0, 2, 3, 1).contiguous().cpu().numpy()
    flow = np.moveaxis(dis_flow(*images), -1, 0)
    return {
        name: Answer(flow_forward=np.stack([answer, answer])[None])
        for name, answer in ((DIS, flow), (ZERO_FLOW, np.zeros_like(flow)))
    }


def _row(found: Mapping[str, Score], low: float, high: float, visible: bool) -> Row:
    metric = flow_metric(low, high, visible)
    what = f'{low:g}-{high:g} px' if high < float('inf') else f'over {low:g} px'
    count = next(iter(found.values())).count(metric)
    values = {name: score.values[metric] for name, score in found.items() if count}
    return Row(what + (', visible' if visible else ''), values, unit='px', count=f'{count:,} px')


if __name__ == '__main__':
    main()

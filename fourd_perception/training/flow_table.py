"""Endpoint errors of flow modules by length of the true flow, on pairs that no training draws.

Layered pairs and pairs of scenes, at 256x192; beside WEIGHTS an untrained module, OpenCV's DIS and
zero flow: `python -m fourd_perception.training.flow_table out/train/flow/last.pt`.
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
from fourd_perception.model.checkpoint_config import CONFIG_KEY, HEADS
from fourd_perception.model.checkpoint_files import open_tensors
from fourd_perception.model.checkpoints import load_any
from fourd_perception.model.heads.flow import FlowConfig, FlowModule
from fourd_perception.model.public_checkpoints import local_file
from fourd_perception.training.flow import flow_answers, held_out_pairs
from fourd_perception.training.plain_values import built
import numpy as np
import torch

WIDTH, HEIGHT = 256, 192
UNTRAINED = 'untrained'


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of each kind of pairs, as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    add = parser.add_argument
    add('weights', nargs='*', metavar='WEIGHTS', help='of a flow module, or a network with one')
    add('--pairs', type=int, default=48, metavar='N', help='of each kind (48)')
    add(
        '--size',
        type=int,
        nargs=2,
        default=(WIDTH, HEIGHT),
        metavar=('W', 'H'),
        help=f'of the images, pixels ({WIDTH} {HEIGHT})',
    )
    args = parser.parse_args(arguments)
    modules = {weights: flow_module(weights) for weights in args.weights}
    torch.manual_seed(0)
    modules[UNTRAINED] = FlowModule(FlowConfig()).eval()
    width, height = args.size
    pairs = held_out_pairs((height, width), args.pairs, torch.device('cpu'))
    tables = [
        error_table(f'{kind}, {width}x{height}', groups, modules) for kind, groups in pairs.items()
    ]
    print(markdown(tables))


def flow_module(weights: str) -> FlowModule:
    """The flow module of a training of its own, or that of a network, ready to infer.

    weights: as for the node. Raises ValueError where there is none.
    """
    file = open_tensors(local_file(weights))
    if any(name.startswith(HEADS['flow']) for name in file.tensors):
        module = load_any(file.path, dtype=torch.float32).flow_module
        assert module is not None
        return module
    config = json.loads(file.metadata.get(CONFIG_KEY, '{}'))
    if 'fine_updates' not in config:
        raise ValueError(
            f'{file.path}: holds no flow module; give what the task `flow` has written, or a '
            'network that has one'
        )
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

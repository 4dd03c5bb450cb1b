"""Train the flow module on layered pairs: `python -m fourd_perception.training.flow --minutes 10`.

Prints its errors on held-out pairs, before and after, beside zero flow and OpenCV's DIS.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import copy
from dataclasses import asdict, dataclass
from pathlib import Path
import time

from fourd_perception.model.heads.flow import FlowConfig, FlowModule
from fourd_perception.synthetic.layered_pairs import layered_pairs, LayeredPairs
from fourd_perception.synthetic.texture_tiles import texture_tiles
from fourd_perception.training.flow_loss import flow_loss
from fourd_perception.training.flow_table import dis_flow, error_table, module_flow, zero_flow
from fourd_perception.training.schedule import rate_factor
import torch

TILES = 256
SCALE_LOSS = 0.02
SMALL_MOTIONS = 0.35
SMALL_MEAN_FLOW = 3.0
HELD_OUT_SEED = 1_000_003
HELD_OUT_SIZE = (96, 128)


@dataclass(frozen=True)
class FlowTraining:
    """How the flow module is trained.

    minutes: of wall clock, all of them used
    size:    height and width of the images, pixels
    pairs:   in one step; each is used both ways
    rate:    of AdamW at its highest
    """

    minutes: float = 10.0
    size: tuple[int, int] = (64, 96)
    pairs: int = 2
    rate: float = 1e-3
    seed: int = 0
    device: str = 'cpu'


def train_flow(
    module: FlowModule, training: FlowTraining, report: Callable[[str], None] = print
) -> int:
    """Fit the module in place until the minutes are over; returns the number of steps.

    The first 35 % of the time show no pair whose mean flow exceeds 3 px.
    """
    module.to(training.device)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=training.rate, betas=(0.9, 0.95), weight_decay=0.05
    )
    tiles = texture_tiles(TILES, training.seed).to(training.device)
    generator = torch.Generator().manual_seed(training.seed)
    started = reported = time.monotonic()
    steps = 0
    recent: list[float] = []
    while (progress := (time.monotonic() - started) / (60 * training.minutes)) < 1:
        for group in optimizer.param_groups:
            group['lr'] = training.rate * rate_factor(progress)
        limit = SMALL_MEAN_FLOW if progress < SMALL_MOTIONS else None
        pairs = layered_pairs(training.pairs, training.size, tiles, generator, max_mean_flow=limit)
        recent.append(train_step(module, optimizer, pairs))
        steps += 1
        if time.monotonic() - reported > 20:
            reported = time.monotonic()
            report(f'{progress:4.0%}  step {steps}  loss {sum(recent) / len(recent):.3f}')
            recent = []
    return steps


def train_step(module: FlowModule, optimizer: torch.optim.Optimizer, pairs: LayeredPairs) -> float:
    """One step of the optimiser on both directions of the pairs; returns the flow's loss."""
    module.train()
    first, second = pairs.images
    with torch.autocast(first.device.type, torch.bfloat16):
        estimates = module(first, second)
    total, shown = first.new_zeros(()), 0.0
    for estimate, truth, occluded in zip(estimates, pairs.flow, pairs.occluded):
        loss, scale_loss = flow_loss(estimate, truth, occluded)
        total = total + 0.5 * (loss + SCALE_LOSS * scale_loss)
        shown += 0.5 * loss.item()
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()
    return shown


def held_out_pairs(
    count: int, device: str = 'cpu', size: tuple[int, int] = HELD_OUT_SIZE
) -> list[LayeredPairs]:
    """Pairs, one in a batch, of textures and motions that no seed below a million draws."""
    tiles = texture_tiles(TILES, HELD_OUT_SEED).to(device)
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    return [layered_pairs(1, size, tiles, generator) for _ in range(count)]


def main() -> None:
    """Train, print the table, keep the weights where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--minutes', type=float, default=10.0, help='of training (default 10)')
    parser.add_argument('--pairs', type=int, default=2, help='a step (default 2)')
    parser.add_argument('--rate', type=float, default=1e-3, help='of AdamW (default 1e-3)')
    parser.add_argument('--held-out', type=int, default=96, help='pairs of the table (96)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1, help='of the CPU (default 1)')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:N')
    parser.add_argument('--output', type=Path, help='file for the weights, .pt')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    training = FlowTraining(
        minutes=arguments.minutes,
        pairs=arguments.pairs,
        rate=arguments.rate,
        seed=arguments.seed,
        device=arguments.device,
    )
    torch.manual_seed(training.seed)
    module = FlowModule(FlowConfig())
    untrained = copy.deepcopy(module).to(training.device)
    steps = train_flow(module, training)
    print(f'{steps} steps of {training.pairs} pairs, both ways')
    pairs = held_out_pairs(arguments.held_out, training.device)
    methods = {
        'zero flow': zero_flow,
        'DIS': dis_flow,
        'untrained': module_flow(untrained),
        'trained': module_flow(module),
    }
    print(error_table(pairs, methods))
    if arguments.output is not None:
        torch.save(
            {'config': asdict(module.config), 'model': module.state_dict()}, arguments.output
        )


if __name__ == '__main__':
    main()

"""How fast `fourd-small` learns here: `python -m fourd_perception.training.step_speed`.

Frames a second, of wall clock, of drawing clips and of a step on them (forward and backward pass,
bfloat16), with and without flow and masks; the optimiser takes a few milliseconds more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
import time

from fourd_perception.synthetic.scenes import generate, SceneSpec
from fourd_perception.training.clip_stages import ClipStage
from fourd_perception.training.small import SmallSettings
from fourd_perception.training.sub_grids import GridSettings
from fourd_perception.training.task import StepContext
import torch

SIZES = ((96, 128), (192, 256))
FRAMES = 8
CLIPS = {96: 6, 192: 2}
GRIDS = GridSettings(frames=(FRAMES, FRAMES), views=1, banded=0.0, strided=0.0, portrait=0.0)


def main() -> None:
    """Print a table, one line a size."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda')
    parser.add_argument('--threads', type=int, default=2, help='of the CPU (default 2)')
    parser.add_argument('--repeats', type=int, default=3, help='the fastest counts (default 3)')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    print(f'{device}, {arguments.threads} threads; frames a second')
    print('| size | clips | drawing | step | step with flow and masks |')
    print('| --- | ---: | ---: | ---: | ---: |')
    for size in SIZES:
        clips = CLIPS[size[0]]
        drawing = fastest(partial(draw, size, clips, device), arguments.repeats, device)
        steps = [
            fastest(step(size, clips, motion, device), arguments.repeats, device) - drawing
            for motion in (0.0, 1.0)
        ]
        rates = (f'{clips * FRAMES / seconds:.3g}' for seconds in (drawing, *steps))
        print(f'| {size[1]}x{size[0]} | {clips} | {" | ".join(rates)} |', flush=True)


def draw(size: tuple[int, int], clips: int, device: torch.device) -> None:
    """As a step draws them."""
    generate(range(clips), SceneSpec(size, 1, FRAMES), device)


def step(
    size: tuple[int, int], clips: int, motion: float, device: torch.device
) -> Callable[[], None]:
    """A step of a drawn network, drawing its clips included."""
    stages = (ClipStage(size=size, motion=motion),)
    task = SmallSettings(stages=stages, grids=GRIDS).build(device)
    context = StepContext(0, 0.0, tuple(range(clips)), device)

    def run() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            terms = task.losses(context)
        torch.stack(list(terms.values())).sum().backward()

    return run


def fastest(run: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds, after one run to warm up."""
    best = float('inf')
    for number in range(repeats + 1):
        began = time.perf_counter()
        run()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        if number:
            best = min(best, time.perf_counter() - began)
    return best


if __name__ == '__main__':
    main()

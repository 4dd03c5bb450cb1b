"""How fast `fourd-small` learns here: `python -m fourd_perception.training.step_speed`.

Frames a second of drawing clips and of a step on them (forward and backward pass, bfloat16), with
and without flow and masks; the optimiser takes a few milliseconds more. On a CPU a second is one
of processor time, whatever else runs there.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
import time

from fourd_perception.training.clip_source import clip_source, ClipRequest, SourceSettings
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
    parser.add_argument('--threads', type=int, default=1, help='of the CPU (default 1)')
    parser.add_argument('--compiled', action='store_true', help='draw with compiled kernels')
    parser.add_argument('--repeats', type=int, default=3, help='the fastest counts (default 3)')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    print(f'{device}, {arguments.threads} threads; frames a second, {FRAMES} to a sample')
    print('| size | clips | drawing | step | step with flow and masks |')
    print('| --- | ---: | ---: | ---: | ---: |')
    for size in SIZES:
        clips = CLIPS[size[0]]
        source = SourceSettings(compiled=arguments.compiled)
        drawing = fastest(partial(draw, size, clips, source, device), arguments.repeats, device)
        steps = [
            fastest(step(size, clips, motion, source, device), arguments.repeats, device) - drawing
            for motion in (0.0, 1.0)
        ]
        rates = (f'{clips * FRAMES / seconds:.3g}' for seconds in (drawing, *steps))
        print(f'| {size[1]}x{size[0]} | {clips} | {" | ".join(rates)} |', flush=True)


def draw(size: tuple[int, int], clips: int, source: SourceSettings, device: torch.device) -> None:
    """As a step draws them."""
    clip_source(source)(range(clips), ClipRequest(size, 1, FRAMES), device)


def step(
    size: tuple[int, int], clips: int, motion: float, source: SourceSettings, device: torch.device
) -> Callable[[], None]:
    """A step of a drawn network, drawing its clips included."""
    stages = (ClipStage(size=size, motion=motion),)
    task = SmallSettings(source=source, stages=stages, grids=GRIDS).build(device)
    context = StepContext(0, 0.0, tuple(range(clips)), device)

    def run() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            terms = task.losses(context)
        torch.stack(list(terms.values())).sum().backward()

    return run


def fastest(run: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds, after one run to warm up."""
    clock = time.process_time if device.type == 'cpu' else time.perf_counter
    best = float('inf')
    for number in range(repeats + 1):
        began = clock()
        run()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        if number:
            best = min(best, clock() - began)
    return best


if __name__ == '__main__':
    main()

"""The verbs about motion masks: `motion`, and `bench cues`."""

from __future__ import annotations

import argparse
from pathlib import Path
import re
from typing import Any

from fourd_perception.cli_verb import count, DONE, FAILED, verb

MOTION = """\
What moves in a clip, found by the attention of any network of the VGGT family without training
(VGGT4D): one picture with cue maps, clusters, coarse and refined masks of some frames.

  fourd-perception motion pictures/ --out out/motion.png
  fourd-perception motion pictures/ --weights vggt-1b --variant robust --out out/motion.png
"""
BENCH = """\
Time the motion cues at the geometry of VGGT-1B, with random queries and keys, against their plain
form (one product of tokens by tokens per layer, head, frame and other frame). Prints a table for
Markdown; times are processor time of one thread, so that other work on the machine matters less.
Exit code 1 where a limit of the table is missed.

  fourd-perception bench cues
  fourd-perception bench cues --grid 37x21 --frames 500 --plain-frames 0
"""
# Grid, frames, frames of the plain form, least gain in time, least share of the product rate. Of
# 192 tokens a frame no share is demanded: there reading the layers takes as long as the products.
LIMITS = (('37x28', 24, 2, 30.0, 0.6), ('16x12', 24, 3, 8.0, 0.0), ('37x21', 500, 0, 0.0, 0.0))
MOST_KEPT, MOST_ERROR, MOST_PEAK = 20e6, 1e-5, 8 * 2**30


def add_motion_verb(verbs: Any) -> None:
    """Add `motion` to the command line."""
    parser = verb(verbs, 'motion', 'masks of what moves in a clip, pictured', MOTION)
    add = parser.add_argument
    add('pictures', type=Path, metavar='DIR', help='folder of frames (*.jpg, *.png), in order')
    add('--out', type=Path, required=True, metavar='PNG', help='the picture')
    add(
        '--weights',
        default='untrained:0',
        metavar='W',
        help='of a VGGT or 4D-VGGT, as for the node (untrained:0)',
    )
    add(
        '--variant',
        choices=('released', 'paper', 'robust'),
        default='released',
        help='as released, as in the paper, or with robust refinement (released)',
    )
    add('--frames', type=count, default=16, metavar='N', help='most frames of the clip (16)')
    add(
        '--width', type=count, default=252, metavar='PX', help='of the frames in the network (252)'
    )
    parser.set_defaults(run=motion)


def motion(args: argparse.Namespace) -> int:
    """Picture what moves in a clip."""
    from fourd_perception.engine.predictors import load_for_clips
    from fourd_perception.model.published_preprocessing import load_images
    from fourd_perception.motion.clip import clip_motion, ClipSettings
    from fourd_perception.viz.motion_sheet import motion_sheet
    from PIL import Image

    paths = sorted(p for p in args.pictures.iterdir() if p.suffix.lower() in ('.jpg', '.png'))
    if not paths:
        raise ValueError(f'{args.pictures}: no pictures; frames end in .jpg or .png')
    paths = paths[:: -(-len(paths) // args.frames)]
    network, notice = load_for_clips(args.weights)
    images = load_images(paths, target=args.width)
    found = clip_motion(network, images, settings=ClipSettings(args.variant))
    title = f'{args.pictures.name}: {len(paths)} frames, {args.weights}, {args.variant} refinement'
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(motion_sheet(images, found, title, notice)).save(args.out)
    coarse, refined = (f'{m.float().mean():.1%}' for m in (found.coarse.mask, found.mask))
    print(f'{args.out}: {coarse} of the pixels dynamic, refined {refined}')
    return DONE


def add_cue_bench(kinds: Any) -> None:
    """Add `cues` to the kinds of `bench`."""
    parser = verb(kinds, 'cues', 'motion cues against their plain form', BENCH)
    add = parser.add_argument
    add('--grid', metavar='WxH', help='patches of one frame; default: the three of the table')
    add('--frames', type=count, default=24, metavar='N', help='of the clip, with --grid (24)')
    add(
        '--plain-frames',
        type=int,
        default=2,
        metavar='N',
        help='frames that the plain form is timed on, with --grid; 0: not at all (2)',
    )
    parser.set_defaults(run=bench_cues)


def bench_cues(args: argparse.Namespace) -> int:
    """Time the cues; whether every limit is kept."""
    from fourd_perception.evaluation.cue_bench import HEADING, measure
    import torch

    torch.set_num_threads(1)
    runs: tuple[tuple[str, int, int, float, float], ...] = LIMITS
    if args.grid is not None:
        runs = ((args.grid, args.frames, args.plain_frames, 0.0, 0.0),)
    print(HEADING, flush=True)
    missed = []
    for grid, frames, plain_frames, gain, share in runs:
        columns, rows = _grid(grid)
        result = measure(rows, columns, frames, plain_frames)
        print(result.line(), flush=True)
        limits = {
            f'at least {gain:g}x faster': result.plain is None or result.gain >= gain,
            f'at least {share:.0%} of the product rate': result.share >= share,
            f'at most {MOST_KEPT / 1e6:g} MB kept per frame': result.kept <= MOST_KEPT,
            f'equal to {MOST_ERROR:g}': result.error is None or result.error <= MOST_ERROR,
            f'within {MOST_PEAK / 2**30:g} GiB': result.peak <= MOST_PEAK,
        }
        missed += [f'{grid}: not {limit}' for limit, kept in limits.items() if not kept]
    unasked = [grid for grid, *_, share in runs if not share]
    if unasked:
        print(f'no share of the product rate is demanded of {", ".join(unasked)}')
    print('\n'.join(missed) or 'all within their limits')
    return FAILED if missed else DONE


def _grid(text: str) -> tuple[int, int]:
    """Columns and rows of `37x28`; ValueError where a clip has fewer than two tokens a frame."""
    found = re.fullmatch(r'(\d+)x(\d+)', text)
    columns, rows = map(int, found.groups()) if found else (0, 0)
    if columns * rows < 2:
        raise ValueError(f'--grid {text}: give WxH in patches, such as 37x28')
    return columns, rows

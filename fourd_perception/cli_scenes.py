"""The verb `scenes`: the procedural clips that networks are trained and validated on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
import time
from typing import Any

from fourd_perception.cli_verb import count, DONE, FAILED, verb

SCENES = """\
The procedural scenes that networks are trained on (docs/scenes.md).

  fourd-perception scenes sheet docs/scenes.jpg
  fourd-perception scenes validation
  fourd-perception scenes bench --device cuda --compiled
"""
SHEET = """\
Picture one slice of many clips: image, depth, flow to the next slice, and what moves.
"""
VALIDATION = """\
Generate the frozen validation set and print what is in it. Exit code 1 where that is not what
synthetic/validation.yaml says, as after a change of the generator.
"""
BENCH = """\
Generate clips and print frames per second, after a first batch that is not counted.
"""


def add_scenes_verb(verbs: Any) -> None:
    """Add `scenes` to the command line."""
    parser = verb(verbs, 'scenes', 'procedural clips: picture, validation set, speed', SCENES)
    kinds = parser.add_subparsers(title='what to do', required=True, metavar='KIND')
    sheet_ = verb(kinds, 'sheet', 'a contact sheet', SHEET)
    add = sheet_.add_argument
    add('out', type=Path, metavar='OUT', help='.jpg or .png')
    add('--clips', type=count, default=64, metavar='N', help='how many (64)')
    add('--columns', type=count, default=8, metavar='N', help='of the sheet (8)')
    add('--seed', type=int, default=0, metavar='S', help='of the first clip (0)')
    add('--setting', default='mixed', metavar='NAME', help='kind of the clips (mixed)')
    add('--held-out', action='store_true', help='what is kept out of training')
    sheet_.set_defaults(run=sheet)
    validation_ = verb(kinds, 'validation', 'the frozen validation set', VALIDATION)
    add = validation_.add_argument
    add('--freeze', action='store_true', help='write what is found into the file')
    validation_.set_defaults(run=validation)
    bench_ = verb(kinds, 'bench', 'frames per second', BENCH)
    add = bench_.add_argument
    add('--device', default='cpu', metavar='D', help='cpu or cuda (cpu)')
    add('--compiled', action='store_true', help='with compiled kernels')
    add('--threads', type=count, default=1, metavar='N', help='of the CPU (1)')
    add('--clips', type=count, default=16, metavar='N', help='of a batch (16)')
    add('--size', default='128x96', metavar='WxH', help='of the images (128x96)')
    bench_.set_defaults(run=bench)


def sheet(args: argparse.Namespace) -> int:
    """Write a contact sheet."""
    from fourd_perception.synthetic.scenes import generate, SceneSpec
    from fourd_perception.viz.scene_sheet import scene_sheet
    from PIL import Image

    spec = SceneSpec(instants=4, setting=args.setting, held_out=args.held_out)
    clips = generate(range(args.seed, args.seed + args.clips), spec)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene_sheet(clips, args.columns)).save(args.out, quality=82)
    print(f'{args.out}: {args.clips} clips, {args.setting}')
    return DONE


def validation(args: argparse.Namespace) -> int:
    """Print what is in the frozen clips, and whether it is what it was."""
    from fourd_perception.progress import Progress
    from fourd_perception.synthetic.validation import (
        frozen_settings,
        validation_clips,
        with_contents,
        write_contents,
    )

    settings, found = frozen_settings(), {}
    with Progress('generating') as progress:
        for number, (name, frozen) in enumerate(settings.items()):
            clips = []
            for clip in range(frozen.clips):
                clips.append(validation_clips(name, [clip]))
                progress.show((number + (clip + 1) / frozen.clips) / len(settings), name)
            found[name] = with_contents(frozen, clips)
    for line in _table({name: asdict(setting.contents) for name, setting in found.items()}):
        print(line)
    if args.freeze:
        write_contents(found)
        return DONE
    changed = [name for name in settings if not found[name].contents.like(settings[name].contents)]
    print(f'not as frozen: {", ".join(changed)}' if changed else 'all as frozen')
    return FAILED if changed else DONE


def _table(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines of a table for Markdown: a row per setting, a column per field."""
    columns = list(next(iter(rows.values())))
    yield f'| setting | {" | ".join(c.replace("_", " ") for c in columns)} |'
    yield '| --- ' * (len(columns) + 1) + '|'
    for name, row in rows.items():
        cells = [
            ' '.join(f'{x:g}' for x in v) if isinstance(v, tuple) else f'{v:g}'
            for v in row.values()
        ]
        yield f'| {name} | {" | ".join(cells)} |'


def bench(args: argparse.Namespace) -> int:
    """Print frames per second."""
    from fourd_perception.synthetic.scenes import generate, SceneSpec
    import torch

    torch.set_num_threads(args.threads)
    width, height = (int(n) for n in args.size.split('x'))
    print('| setting | frames/s | frames per second of processor time |\n| --- | ---: | ---: |')
    for setting, views in (('mixed', 1), ('street', 1), ('rig', 4)):
        spec = SceneSpec((height, width), views, 8, setting)
        for first in (0, args.clips):
            started, worked = time.perf_counter(), time.process_time()
            clips = generate(range(first, first + args.clips), spec, args.device, args.compiled)
            clips.images.cpu()
        frames = args.clips * views * 8
        wall, work = time.perf_counter() - started, time.process_time() - worked
        print(f'| {setting} | {frames / wall:.0f} | {frames / work:.0f} |', flush=True)
    return DONE

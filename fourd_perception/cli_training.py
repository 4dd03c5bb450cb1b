"""The verb `train`."""

from __future__ import annotations

import argparse
from pathlib import Path
import signal
import sys
from typing import Any

from fourd_perception.cli_verb import count, DONE, positive, verb

TRAIN = """\
Train a network as a YAML file says (config/train/). OUT gets last.pt (the newest state),
before_decay.pt (from which a longer training goes on), weights/ (what ships, at the end),
log.jsonl, events for TensorBoard, and pictures of the frozen validation set.

Ctrl-C, SIGTERM and the end of the minutes are all the same: nothing is lost. --resume uses the
time that is left.

  fourd-perception train config/train/small.yaml --minutes 30
  fourd-perception train config/train/small.yaml --minutes 30 --resume
  fourd-perception train config/train/small.yaml --minutes 60 \\
      --resume out/train/small/before_decay.pt
  torchrun --nproc-per-node 2 -m fourd_perception.cli train config/train/small.yaml
"""


def add_train_verb(verbs: Any) -> None:
    """Add `train` to the command line."""
    add = (parser := verb(verbs, 'train', 'train a network', TRAIN)).add_argument
    add('config', type=Path, metavar='CONFIG', help='YAML file')
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        '--minutes', type=positive, metavar='M', help="of all runs together (the file's length)"
    )
    length.add_argument(
        '--steps', type=count, metavar='N', help="of all runs together (the file's length)"
    )
    add('--out', type=Path, metavar='DIR', help='where files go (out/train/NAME of CONFIG)')
    add(
        '--resume',
        nargs='?',
        type=Path,
        const=NEWEST_IN_OUT,
        metavar='FILE',
        help='go on from FILE (OUT/last.pt)',
    )
    parser.set_defaults(run=train)


NEWEST_IN_OUT = Path()


def train(args: argparse.Namespace) -> int:
    """Train a network."""
    from fourd_perception.training.torch_version import check_torch
    import torch

    check_torch(torch.__version__)
    from fourd_perception.progress import Progress
    from fourd_perception.training import trainer
    from fourd_perception.training.config import read_config

    config = read_config(args.config, args.minutes, args.steps)
    out = args.out or Path('out/train', args.config.stem)
    resume = out / trainer.NEWEST if args.resume == NEWEST_IN_OUT else args.resume
    with Progress('training') as progress:
        stopped_by = trainer.train(config, out, resume, print, progress.show)
    if not stopped_by:
        return DONE
    name = signal.Signals(stopped_by).name
    print(f'{name}: all is kept in {out}; --resume goes on', file=sys.stderr)
    return 128 + stopped_by

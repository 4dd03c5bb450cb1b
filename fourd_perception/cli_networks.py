"""The verbs about networks: `weights`, `parity` and `bench`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fourd_perception.cli_motion import add_cue_bench, add_motion_verb
from fourd_perception.cli_verb import count, DONE, FAILED, verb

WEIGHTS = """\
What the networks know. Nothing is downloaded but by `weights fetch`.

  fourd-perception weights list
  fourd-perception weights check fourd-small
  fourd-perception weights fetch vggt-1b
  fourd-perception weights convert vggt-1b fourd.safetensors --to 4d-vggt --dtype bf16
"""
LIST = """\
The names that `weights` takes, with repository, size, licence, and whether they are on this
machine; and what else it takes.
"""
FETCH = """\
Download a checkpoint from its Hugging Face repository (needs huggingface_hub, which heeds
HF_ENDPOINT, HF_TOKEN and proxies), verify its SHA-256, and keep it with a record of where it came
from in $FOURD_PERCEPTION_WEIGHTS (~/.cache/fourd_perception/weights). Size and licence are shown
first.
"""
CHECK = """\
Recognise a checkpoint by its tensors and compare every name and shape with the network that it is
for; show size, SHA-256, licence and the parameters of every part; look for numbers that are not
finite.
"""
CONVERT = """\
Write a checkpoint as .safetensors, with its configuration and licence inside. With --to 4d-vggt, a
VGGT becomes a 4D-VGGT whose depth, points and cameras are VGGT's until it is trained.
"""
PARITY = """\
Compare the networks with what the reference implementations answered: a folder with config.json,
weights.safetensors and cases (*.npz); or with rule.json (a 4D-VGGT made from a VGGT); or with the
fixtures of VGGT4D, pose encoding or image preparation; or a folder of such folders. Prints the
largest |a - b| / max(1, |b|) of every output; exit code 1 where one is above its limit.
"""

BENCH = """\
Time, FLOPs and peak memory of every stage of a network with drawn weights, for a whole window and
for the next one, which encodes the newest column only and makes maps of it only; beside a plain
unfused forward of the same weights (from a source tree). With --dtype bf16 also the differences
from fp32; on a GPU also what 790 TFLOP/s would take. On a CPU, times are of the processor.

  fourd-perception bench model --preset vggt-1b --views 1 --times 2 --size 196x140
"""
BENCH_POSE = """\
Monte Carlo of the motion between two instants, solved from depth and flow (224x168) that are off,
where some things move: medians and, in brackets, what nine of ten pairs keep. Errors in degrees;
length is found over true; normalised is the squared error over the covariance, 1 in the mean
where that tells the truth.
"""


def add_network_verbs(verbs: Any) -> None:
    """Add `weights`, `parity` and `bench` to the command line."""
    _add_weights(verbs)
    _add_bench(verbs)
    parser = verb(verbs, 'parity', 'networks against numbers of the references', PARITY)
    parser.add_argument('folders', type=Path, nargs='+', metavar='FOLDER', help='of fixtures')
    parser.add_argument(
        '--float64',
        action='store_true',
        help="evaluate networks in float64, against the rounding of the reference's float32",
    )
    parser.set_defaults(run=parity)
    add_motion_verb(verbs)


def parity(args: argparse.Namespace) -> int:
    """Compare networks with fixtures."""
    from fourd_perception.evaluation.parity.comparison import table
    from fourd_perception.evaluation.parity.folder import check

    passed = True
    for folder in args.folders:
        for place, kind, results in check(folder, args.float64):
            print(f'{place} ({kind.replace("_", " ")})')
            print('\n'.join(table(results)), flush=True)
            passed &= all(result.passed for result in results)
    print('all within their limits' if passed else 'NOT within the limits')
    return DONE if passed else FAILED


def bench_model(args: argparse.Namespace) -> int:
    """Measure a network."""
    from fourd_perception.engine.settings import parse_output_size
    from fourd_perception.evaluation import network_bench
    from fourd_perception.evaluation.bench_stages import BenchSettings

    size = parse_output_size(args.size)
    if isinstance(size, str):
        raise ValueError(f'--size {size}: give WxH, such as 518x392')
    settings = BenchSettings(
        args.preset, args.views, args.times, *size, args.device, args.dtype, args.repeats
    )
    for line in network_bench.bench_model(settings):
        print(line, flush=True)
    return DONE


def bench_pose(args: argparse.Namespace) -> int:
    """Measure how well motions are solved."""
    from fourd_perception.evaluation import pose_bench

    for line in pose_bench.bench_pose(args.pairs, args.seed):
        print(line, flush=True)
    return DONE


def weights_list(_args: argparse.Namespace) -> int:
    """Show the names of checkpoints and what is on this machine."""
    from fourd_perception.model.checkpoint_report import list_names

    print('\n'.join(list_names()))
    return DONE


def weights_fetch(args: argparse.Namespace) -> int:
    """Download a checkpoint and verify it."""
    from fourd_perception.model.checkpoint_fetch import ask, fetch
    from fourd_perception.model.checkpoint_report import in_words
    from fourd_perception.model.public_checkpoints import named
    from fourd_perception.model.shipped_weights import SHIPPED, shipped_file
    from fourd_perception.progress import Progress

    if args.weights == SHIPPED:
        print(f'{shipped_file()}: ships with the package, nothing needs fetching')
        return DONE
    origin = ask(named(args.weights), args.revision)
    print(f'{origin.repo}:{origin.file} at {origin.revision[:12]}: {in_words(origin)}', flush=True)
    with Progress('verifying') as progress:
        path = fetch(origin, progress.count)
    print(f'{path}: verified')
    return DONE


def weights_check(args: argparse.Namespace) -> int:
    """Compare a checkpoint with its network and show what it is."""
    from fourd_perception.model.checkpoint_report import describe, not_finite
    from fourd_perception.model.checkpoints import open_checkpoint
    from fourd_perception.model.public_checkpoints import local_file
    from fourd_perception.progress import Progress

    checkpoint = open_checkpoint(local_file(args.weights), tracker_fixed=args.tracker_fixed)
    with Progress('reading') as progress:
        lines = describe(checkpoint, progress.count)
        broken = not_finite(checkpoint)
    print('\n'.join(lines))
    for name in broken:
        print(f'not finite: {name}')
    return FAILED if broken else DONE


def weights_convert(args: argparse.Namespace) -> int:
    """Write a checkpoint anew."""
    from fourd_perception.model.checkpoint_convert import convert
    from fourd_perception.model.checkpoint_report import licence_of
    from fourd_perception.model.checkpoints import DTYPES, open_checkpoint
    from fourd_perception.model.public_checkpoints import local_file

    checkpoint = open_checkpoint(local_file(args.weights), tracker_fixed=args.tracker_fixed)
    dtype = None if args.dtype is None else DTYPES[args.dtype]
    convert(checkpoint, args.out, dtype, args.to is not None, licence_of(checkpoint))
    print(f'{args.out}: {args.out.stat().st_size / 1e9:.2f} GB')
    return DONE


def _add_bench(verbs: Any) -> None:
    bench = verbs.add_parser('bench', help='measure the cost of networks')
    kinds = bench.add_subparsers(title='what to measure', required=True, metavar='KIND')
    add = (model := verb(kinds, 'model', 'stages of a network', BENCH)).add_argument
    add(
        '--preset',
        default='tiny',
        metavar='NAME',
        help='tiny, fourd-small, vggt-1b, 4d-vggt-v1, 4d-vggt',
    )
    add('--views', type=count, default=4, metavar='V', help='cameras (4)')
    add('--times', type=count, default=4, metavar='T', help='instants (4)')
    add('--size', default='168x126', metavar='WxH', help='of one image, pixels (168x126)')
    add('--device', default='cpu', help='torch device (cpu)')
    add('--dtype', choices=('fp32', 'bf16'), default='fp32', help='of encoder and trunk (fp32)')
    add('--repeats', type=count, default=3, metavar='N', help='runs of a stage, the median counts')
    model.set_defaults(run=bench_model)
    add_cue_bench(kinds)
    pose = verb(kinds, 'pose', 'motions solved from depth and flow', BENCH_POSE)
    pose.add_argument('--pairs', type=count, default=200, metavar='N', help='of each kind (200)')
    pose.add_argument('--seed', type=int, default=0, metavar='N', help='other scenes (0)')
    pose.set_defaults(run=bench_pose)


def _add_weights(verbs: Any) -> None:
    parser = verb(verbs, 'weights', 'list, fetch, check and convert checkpoints', WEIGHTS)
    kinds = parser.add_subparsers(title='what to do', required=True, metavar='VERB')
    verb(kinds, 'list', 'names, licences, and what is here', LIST).set_defaults(run=weights_list)

    fetch = verb(kinds, 'fetch', 'download and verify', FETCH)
    fetch.add_argument('weights', metavar='W', help='a name of the list, or owner/name[:file]')
    fetch.add_argument('--revision', metavar='R', help='commit, branch or tag (the newest)')
    fetch.set_defaults(run=weights_fetch)

    check = verb(kinds, 'check', 'compare a checkpoint with its network', CHECK)
    _add_source(check)
    check.set_defaults(run=weights_check)

    convert = verb(kinds, 'convert', 'another type, or a 4D-VGGT from a VGGT', CONVERT)
    _add_source(convert)
    convert.add_argument('out', type=Path, metavar='OUT', help='new .safetensors file')
    convert.add_argument('--dtype', choices=('fp32', 'bf16'), help='of all tensors (as they are)')
    convert.add_argument('--to', choices=('4d-vggt',), help='make a VGGT into this network')
    convert.set_defaults(run=weights_convert)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('weights', metavar='W', help='a file, or a name of `weights list`')
    parser.add_argument(
        '--tracker-fixed',
        action=argparse.BooleanOptionalAction,
        help="whether VGGT's tracker is the corrected one, which its tensors do not tell (by the "
        'name of the file)',
    )

"""`fourd-perception <verb>`: everything that can be done from a shell.

Verbs import what they need when they run, so that `--help` is quick and no verb needs the
libraries of another.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import fourd_perception
from fourd_perception.cli_evaluation import add_evaluate_verb
from fourd_perception.cli_networks import add_network_verbs
from fourd_perception.cli_scenes import add_scenes_verb
from fourd_perception.cli_training import add_train_verb
from fourd_perception.cli_verb import (
    BAD_INPUT,
    count,
    DONE,
    FAILED,
    INTERRUPTED,
    number,
    positive,
    verb,
)

DESCRIPTION = """\
Cameras in, a metric 4-D scene out.

  fourd-perception synth out/room                                     a scene whose truth is known
  fourd-perception replay out/room --weights truth:out/room --out out/run     through the real node
  fourd-perception evaluate replay out/run                            scored, reported, pictured

On a robot: ros2 launch fourd_perception perception.launch.py
"""
SYNTH = """\
Write a procedural recording as a rosbag2 folder: images, CameraInfo and TF as a robot would record
them, the exact depth, flow, masks and poses under /ground_truth, and scene.yaml, which
`replay --weights truth:FOLDER` and `evaluate` read.
"""
MAKE_BAG = """\
Turn the videos of a calibrated rig into a rosbag2 folder of rectified images, CameraInfo and
/tf_static. RIG is a YAML file: below `cameras`, by name, `video` (beside the file), `width`,
`height`, `camera_matrix` (9 numbers), `distortion` (k1 k2 p1 p2 k3), and the camera's pose in the
room: `rotation` (9 numbers) and `translation` (metres).
"""
REPLAY = """\
Start the real node as its own process, play a recording to it over DDS with /clock, and record
everything that it publishes. Writes OUT/bag (rosbag2 mcap), OUT/run.yaml (rate, losses, counters,
latencies, versions) and OUT/node.log. The node listens on ROS_DOMAIN_ID, so RViz can look on.

  fourd-perception replay out/room --weights untrained:0 --allow-unscaled --out out/run
  fourd-perception replay out/lab --fixed lab --rate auto -p window.length:=3 --out out/run
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb. Exit codes: 0 done, 1 failed or below a limit, 2 unusable input, 130 Ctrl-C."""
    args = _parser().parse_args(arguments)
    # Whoever ends a replay must not leave its node behind.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        if args.traceback:
            raise
        print(f'fourd-perception: {" ".join(str(error).split())}', file=sys.stderr)
        return BAD_INPUT


def synth(args: argparse.Namespace) -> int:
    """Write a procedural recording."""
    from fourd_perception.bag.synthetic_bag import write_synthetic
    from fourd_perception.progress import Progress
    from fourd_perception.synthetic.recording import make_recording

    recording = make_recording(args.kind, args.cameras, args.seconds, args.rate, args.seed)
    with Progress('rendering') as progress:
        write_synthetic(recording, args.out, args.wheel_odometry, progress.count)
    print(f'{args.out}: {args.kind} with {args.cameras} cameras, {args.seconds:g} s')
    return DONE


def make_bag(args: argparse.Namespace) -> int:
    """Turn videos into a recording."""
    from fourd_perception.bag import rig_videos
    from fourd_perception.progress import Progress

    with Progress('rectifying') as progress:
        rig_videos.make_bag(
            args.rig,
            args.out,
            longest_side=args.longest_side,
            every=args.every,
            seconds=args.seconds,
            rate=args.rate,
            frame=args.frame,
            progress=progress.count,
        )
    print(f'{args.out}: written from {args.rig}')
    return DONE


def replay(args: argparse.Namespace) -> int:
    """Play a recording through the node and record what comes out."""
    from fourd_perception.progress import Progress
    from fourd_perception.ros import replay as replaying
    from fourd_perception.ros.replay_params import node_parameters
    from fourd_perception.ros.replay_session import ReplayError

    options: dict[str, Any] = {}
    if args.weights is not None:
        options['weights'] = args.weights
    if args.allow_unscaled:
        options['allow_unscaled'] = True
    if args.fixed is not None:
        options['frames.fixed'] = args.fixed
    params = node_parameters(args.bag, args.params, args.parameter, options)
    settings = replaying.ReplaySettings(args.bag, args.out, params, args.rate, args.loop)
    try:
        with Progress('replaying') as progress:
            run = replaying.replay(
                settings,
                lambda share, n: progress.show(share, f'{n} slices inferred'),
                lambda text: print(text, file=sys.stderr),
            )
    except ReplayError as error:
        print(f'fourd-perception: {error}', file=sys.stderr)
        return FAILED
    print(run.summary())
    print(f'outputs in {args.out / "bag"}, figures in {args.out / "run.yaml"}')
    if run.interrupted:
        return INTERRUPTED
    return DONE if run.exit_code == 0 else FAILED


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        'fourd-perception',
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=fourd_perception.__version__)
    parser.add_argument(
        '--traceback', action='store_true', help='show where an error came from, for bug reports'
    )
    verbs = parser.add_subparsers(title='verbs', required=True, metavar='VERB')
    _add_synth(verbs)
    _add_make_bag(verbs)
    _add_replay(verbs)
    add_evaluate_verb(verbs)
    add_network_verbs(verbs)
    add_train_verb(verbs)
    add_scenes_verb(verbs)
    return parser


def _add_synth(verbs: Any) -> None:
    parser = verb(verbs, 'synth', 'write a procedural recording with ground truth', SYNTH)
    add = parser.add_argument
    add('out', type=Path, metavar='OUT', help='new rosbag2 folder')
    add('--kind', choices=('room', 'street'), default='room', help='what is seen (room)')
    add('--cameras', type=int, default=4, metavar='N', help='1 to 8 cameras (4)')
    add('--seconds', type=positive, default=4.0, metavar='S', help='length (4)')
    add('--rate', type=positive, default=10.0, metavar='HZ', help='images per second (10)')
    add('--seed', type=int, default=0, metavar='N', help='another scene for every number (0)')
    add(
        '--wheel-odometry',
        action='store_true',
        help='add /odom and odom -> base_link on /tf, which drifts as wheels do',
    )
    parser.set_defaults(run=synth)


def _add_make_bag(verbs: Any) -> None:
    parser = verb(verbs, 'make-bag', 'videos and their calibration to a recording', MAKE_BAG)
    add = parser.add_argument
    add('rig', type=Path, metavar='RIG', help='YAML file of the rig')
    add('out', type=Path, metavar='OUT', help='new rosbag2 folder')
    add(
        '--longest-side',
        type=int,
        metavar='PX',
        help='longer side of the rectified images (as recorded)',
    )
    add('--every', type=int, default=1, metavar='N', help='take every N-th frame (1)')
    add('--seconds', type=positive, metavar='S', help='take so much of the videos (all)')
    add('--rate', type=_rate_of_video, metavar='HZ', help="frames per second (the videos' own)")
    add('--frame', default='lab', help='TF frame that the cameras stand in (lab)')
    parser.set_defaults(run=make_bag)


def _add_replay(verbs: Any) -> None:
    parser = verb(verbs, 'replay', 'a recording through the real node, over DDS', REPLAY)
    add = parser.add_argument
    add('bag', type=Path, metavar='BAG', help='rosbag2 folder or .mcap file')
    add('--out', type=Path, required=True, metavar='DIR', help='where the results go')
    add(
        '--weights',
        metavar='W',
        help='fourd-small, which ships with the package, untrained:<seed>, truth:<folder written '
        'by synth>, a file, or a name of `weights list`',
    )
    add(
        '--rate',
        type=_rate_or_auto,
        default=1.0,
        metavar='X',
        help='seconds of the recording per second (1.0), or auto: so slowly, as it goes, that 20 '
        'slices or more are inferred, else once more and slower, else it fails',
    )
    add('--loop', type=count, default=1, metavar='N', help='passes; the clock jumps back (1)')
    add('--params', type=Path, metavar='FILE', help='ROS parameter file for the node')
    add(
        '-p',
        dest='parameter',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='one parameter of the node, such as output.size:=input; may be repeated',
    )
    add(
        '--allow-unscaled',
        action='store_true',
        help='publish geometry whose scale is not metric, as with untrained weights',
    )
    add('--fixed', metavar='FRAME', help='TF frame that the cameras stand still in')
    parser.set_defaults(run=replay)


def _rate_or_auto(text: str) -> float | None:
    return None if text == 'auto' else number(text, float, 'auto or a number above 0')


def _rate_of_video(text: str) -> Fraction:
    return number(text, Fraction, 'a number above 0').limit_denominator(1001)


if __name__ == '__main__':
    sys.exit(main())

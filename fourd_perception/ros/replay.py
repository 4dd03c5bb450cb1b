"""A recording through the real node: played over DDS, every output recorded, losses counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import os
from pathlib import Path
import shutil
from typing import Any

from fourd_perception.ros.process import node_environment
from fourd_perception.ros.replay_run import ReplayRun
from fourd_perception.ros.replay_session import Progress, ReplayError, replay_once

WANTED_SLICES = 20
MOST_ATTEMPTS = 5
# How many more slices an attempt aims at than are wanted: latency varies.
MARGIN = 1.3


@dataclass(frozen=True)
class ReplaySettings:
    """What to replay.

    bag:       recording with images, CameraInfo and TF
    out:       folder for `bag/` (the outputs), `run.yaml`, `params.yaml` and `node.log`
    params:    parameters of the node by dotted name, `cameras` among them
    rate:      seconds of the recording per second; None slows down until enough slices (20, or all
               that there are) are inferred
    loops:     passes over the recording; the clock jumps back between them
    overwrite: replace the outputs of an earlier replay in `out`
    """

    bag: Path
    out: Path
    params: Mapping[str, Any]
    rate: float | None = 1.0
    loops: int = 1
    overwrite: bool = False


def replay(settings: ReplaySettings, say: Callable[[str], None], progress: Progress) -> ReplayRun:
    """Replay a recording, write `run.yaml`, and return what happened.

    say: takes lines for the user; progress: share played (0-1) and slices inferred so far.
    Raises ReplayError when the node does not come up or ends by itself, ValueError and OSError
    for unusable settings.
    """
    domain_id = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    os.environ.update(node_environment(domain_id))
    settings.out.mkdir(parents=True, exist_ok=True)
    rate, overwrite = settings.rate or 1.0, settings.overwrite
    for _ in range(MOST_ATTEMPTS):
        _remove_recording(settings.out / 'bag', overwrite)
        run = replay_once(
            settings.bag, settings.out, settings.params, rate, settings.loops, domain_id, progress
        )
        run.write(settings.out / 'run.yaml')
        wanted = min(WANTED_SLICES, run.slices_available)
        if settings.rate is not None or run.interrupted or run.slices >= wanted:
            return run
        slower = rate * max(run.slices, 1) / (MARGIN * wanted)
        say(
            f'{run.slices} of {run.slices_available} slices were inferred at rate {rate:.3g}; '
            f'once more at rate {slower:.3g}, for {wanted}'
        )
        rate, overwrite = slower, True
    raise ReplayError(
        f'{run.slices} slices were inferred at rate {run.rate:.3g} after {MOST_ATTEMPTS} attempts, '
        f'{wanted} are wanted; see {settings.out / "node.log"}'
    )


def _remove_recording(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise FileExistsError(
            f'{path} holds the outputs of an earlier replay; choose another --out, or --overwrite'
        )
    if not (path / 'metadata.yaml').is_file():
        raise FileExistsError(f'{path} is no recording, so it is not removed; choose another --out')
    shutil.rmtree(path)

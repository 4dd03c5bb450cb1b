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
from fourd_perception.ros.replay_session import Progress, replay_once, ReplayError

WANTED_SLICES = 20
MOST_ATTEMPTS = 5
# How many more slices an attempt aims at than are wanted: latency varies.
MARGIN = 1.3


@dataclass(frozen=True)
class ReplaySettings:
    """What to replay.

    bag:    recording with images, CameraInfo and TF
    out:    folder for `bag/` (the outputs), `run.yaml` and `node.log`
    params: parameters of the node by dotted name, `cameras` among them
    rate:   seconds of the recording per second; None slows down until enough slices (20, or all
            that there are) are inferred
    loops:  passes over the recording; the clock jumps back between them
    """

    bag: Path
    out: Path
    params: Mapping[str, Any]
    rate: float | None = 1.0
    loops: int = 1


def replay(settings: ReplaySettings, say: Callable[[str], None], progress: Progress) -> ReplayRun:
    """Replay a recording, write `run.yaml`, and return what happened.

    say: takes lines for the user; progress: share played (0-1) and slices inferred so far.
    Raises FileExistsError when `out` holds a replay already, ReplayError when the node does not
    come up, ends by itself, or stays too slow.
    """
    domain_id = int(os.environ.get('ROS_DOMAIN_ID') or 0)
    os.environ.update(node_environment(domain_id))
    outputs = settings.out / 'bag'
    if outputs.exists():
        raise FileExistsError(f'{outputs} exists; choose another --out, or remove what is there')
    settings.out.mkdir(parents=True, exist_ok=True)
    rate = settings.rate or 1.0
    for _ in range(MOST_ATTEMPTS):
        run = replay_once(
            settings.bag, settings.out, settings.params, rate, settings.loops, domain_id, progress
        )
        run.write(settings.out / 'run.yaml')
        wanted = min(WANTED_SLICES, run.slices_available)
        if settings.rate is not None or run.interrupted or run.slices >= wanted:
            return run
        rate *= max(run.slices, 1) / (MARGIN * wanted)
        say(
            f'{run.slices} of {run.slices_available} slices were inferred at rate '
            f'{run.rate:.3g}; once more at rate {rate:.3g}, for {wanted}'
        )
        shutil.rmtree(outputs)
    raise ReplayError(
        f'after {MOST_ATTEMPTS} attempts, the last at rate {run.rate:.3g}, fewer than {wanted} '
        f'slices were inferred ({run.slices}); see {settings.out / "node.log"}'
    )

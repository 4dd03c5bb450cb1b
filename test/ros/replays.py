"""Replays by the real command line, and recordings with messages missing."""

from __future__ import annotations

from collections.abc import Callable
import itertools
import os
from pathlib import Path
import shutil
import subprocess
import sys

from fourd_perception.bag.reader import BagReader
from fourd_perception.bag.writer import BagWriter

DOMAINS = itertools.count(54)
# Small images in a small network; every machine keeps up with the recording.
OPTIONS = ('-p', 'pixel_budget:=12000', '-p', 'tf.wait:=0.2')


def command(*arguments: object) -> list[str]:
    """The command line of `fourd-perception` with these arguments."""
    return [sys.executable, '-m', 'fourd_perception.cli', *map(str, arguments)]


def environment() -> dict[str, str]:
    """The environment of a replay, on a domain that no other has had."""
    return os.environ | {'ROS_DOMAIN_ID': str(next(DOMAINS))}


def fourd(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `fourd-perception` to its end."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=110
    )


def replay(bag: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """Replay with the truth of the recording."""
    done = fourd('replay', bag, '--weights', f'truth:{bag}', '--out', out, *OPTIONS, *options)
    assert done.returncode == 0, done.stderr
    return done


def cut(bag: Path, out: Path, keep: Callable[[str, float], bool]) -> Path:
    """A copy of a synthetic recording without some messages.

    keep: told the topic and the seconds since the start
    """
    with BagReader(bag) as reader, BagWriter(out) as writer:
        for topic, info in reader.topics.items():
            writer.topic(topic, info.type, info.qos)
        for topic, stamp, payload in reader.messages():
            if keep(topic, (stamp - reader.start) / 1e9):
                writer.write(topic, stamp, payload)
    shutil.copy(bag / 'scene.yaml', out)
    return out

"""What happened in a replay, as it is written beside the recorded outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
import importlib.metadata
from pathlib import Path
import platform
from typing import Any

import numpy as np
import yaml

VERSIONS_OF = ('fourd_perception', 'torch', 'numpy', 'opencv-python-headless', 'rosbags')


@dataclass(frozen=True)
class TopicRecord:
    """A recorded topic: messages of the node, of others (on /tf), lost ones (None: unknown)."""

    type: str
    count: int
    foreign: int
    lost: int | None
    bytes: int


@dataclass(frozen=True)
class ReplayRun:
    """What happened in a replay.

    bag:         the recording that was played
    parameters:  of the node, by dotted name, those left at their defaults included
    rate, loops: how it was played; `late`: s, the most that a message was sent behind its time
    played:      messages published per topic
    slices:      inferred ones; `slices_available`: images of the camera with most, all passes
    outputs:     what was recorded, by topic; `skipped`: what could not be, with the reason
    latency:     ms from the publication of a slice's first image to that of its last output:
                 count, median, p95, max
    status:      the node's last diagnostics by name: level, message, values
    exit_code:   of the node
    seconds:     wall clock of the replay, start of the node included
    interrupted: whether Ctrl-C ended it early
    versions:    of the software
    """

    bag: str
    parameters: Mapping[str, Any]
    rate: float
    loops: int
    late: float
    played: Mapping[str, int]
    slices: int
    slices_available: int
    outputs: Mapping[str, TopicRecord]
    skipped: Mapping[str, str]
    latency: Mapping[str, float]
    status: Mapping[str, Any]
    exit_code: int | None
    seconds: float
    interrupted: bool
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    @property
    def lost(self) -> int:
        """Messages lost between the node and the recording, all topics together."""
        return sum(topic.lost or 0 for topic in self.outputs.values())

    def summary(self) -> str:
        """One line for the user."""
        latency = self.latency.get('median')
        return (
            f'rate {self.rate:.3g}: {self.slices} of {self.slices_available} slices inferred, '
            f'{sum(topic.count for topic in self.outputs.values())} messages recorded, '
            f'{self.lost} lost' + ('' if latency is None else f', median latency {latency:.0f} ms')
        )

    def write(self, path: Path) -> None:
        """Write everything as YAML."""
        path.write_text(yaml.safe_dump(asdict(self), sort_keys=False, width=99))


def latency_of(seconds: list[float]) -> dict[str, float]:
    """Count, median, 95th percentile and maximum of latencies, in milliseconds."""
    if not seconds:
        return {'count': 0}
    milliseconds = 1e3 * np.array(seconds)
    return {
        'count': len(seconds),
        'median': round(float(np.median(milliseconds)), 2),
        'p95': round(float(np.percentile(milliseconds, 95)), 2),
        'max': round(float(milliseconds.max()), 2),
    }


def versions() -> dict[str, str]:
    """Versions of what took part; packages that are not installed by pip are left out."""
    found = {'python': platform.python_version(), 'machine': platform.machine()}
    for name in VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

"""What a data set is: recordings that read raw frames, and windows of them as `Clips`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import itertools

from fourd_perception.datasets.assembly import assemble
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.clips import Clips
import numpy as np
import torch


@dataclass(frozen=True)
class ClipSpec:
    """The clips wanted of data sets.

    size:     (height, width) of the images, multiples of 16
    instants: of a clip
    views:    of a clip; a recording with fewer leaves cells absent
    tracks:   tracked points at most
    """

    size: tuple[int, int] = (96, 128)
    instants: int = 8
    views: int = 1
    tracks: int = 0


@dataclass(frozen=True)
class Recording:
    """One sequence of a data set.

    name:     for messages
    views:    cameras that look at the same instants
    instants: frames of each
    read:     (view, instant) -> the frame; picklable, raises DataSetError naming the file
    """

    name: str
    views: int
    instants: int
    read: Callable[[int, int], RawFrame]


@dataclass(frozen=True)
class DataSet:
    """A public data set on disk.

    metric: whether depth and translations are metres
    """

    name: str
    metric: bool
    recordings: tuple[Recording, ...]

    def windows(self, spec: ClipSpec, stride: int = 1) -> int:
        """How many windows of `spec.instants`, `stride` frames apart, there are.

        One starts at every frame that has enough frames after it.
        """
        return sum(_starts(recording, spec.instants, stride) for recording in self.recordings)

    def clip(self, index: int, spec: ClipSpec, stride: int = 1, seed: int | None = None) -> Clips:
        """Window `index` (0 <= index < windows(spec, stride)) as one clip [1, V, T].

        Views, crop and tracks are drawn by the seed; None takes the first views and tracks and the
        middle of the image. Flow is known at stride 1 only. Raises IndexError for a window that
        there is not, DataSetError for files that cannot be used.
        """
        recording, start = self._find(index, spec.instants, stride)
        generator = None if seed is None else np.random.default_rng(seed)
        views: list[int] = list(range(recording.views))
        place = (0.5, 0.5)
        if generator is not None:
            views = generator.permutation(views).tolist()
            place = (float(generator.random()), float(generator.random()))
        instants = range(start, start + spec.instants * stride, stride)
        frames = [[recording.read(v, i) for i in instants] for v in views[: spec.views]]
        counts = {len(f.tracks.points) for row in frames for f in row if f.tracks is not None}
        if len(counts) > 1:
            raise DataSetError(
                f'{self.name}: frames of {recording.name} track {sorted(counts)} points, and not '
                'the same ones; extract its tracks again, or ask for fewer views'
            )
        clips = assemble(frames, spec.size, spec.views, place, adjacent=stride == 1)
        clips.metric[:] = self.metric
        return _with_tracks(clips, spec.tracks, generator)

    def _find(self, index: int, instants: int, stride: int) -> tuple[Recording, int]:
        """The recording of a window, and the frame where it starts."""
        ends = list(itertools.accumulate(_starts(r, instants, stride) for r in self.recordings))
        if not ends or not 0 <= index < ends[-1]:
            raise IndexError(
                f'data set {self.name} has {ends[-1] if ends else 0} windows of {instants} '
                f'instants at stride {stride}; there is no window {index}'
            )
        number = int(np.searchsorted(ends, index, side='right'))
        return self.recordings[number], index - (ends[number - 1] if number else 0)


def _starts(recording: Recording, instants: int, stride: int) -> int:
    """Frames of a recording at which a window can start."""
    return max(0, recording.instants - (instants - 1) * stride)


def _with_tracks(clips: Clips, tracks: int, generator: np.random.Generator | None) -> Clips:
    """At most so many of the points that are seen somewhere in the clip [1, V, T]."""
    seen = clips.track_visible[0].flatten(0, 1).any(dim=0).nonzero()[:, 0]
    if generator is not None:
        seen = seen[torch.from_numpy(generator.permutation(len(seen)))]
    chosen = seen[:tracks]
    return replace(
        clips,
        track_points=clips.track_points[:, :, chosen],
        track_visible=clips.track_visible[..., chosen],
    )

"""Dynamic Replica (Karaev et al., CVPR 2023): a stereo pair among rendered people and animals.

`<split>/` of the release: frame_annotations_<split>.jgz beside the folders of the sequences.
Licence: CC BY-NC 4.0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import pickle
from typing import Any

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import DataSetError, read_png, read_rgb, require_size
from fourd_perception.datasets.implicitron import camera, read_annotations
from fourd_perception.datasets.raw_frame import RawFrame, Tracks
import numpy as np
import torch

_RATE = 30.0
_CAMERAS = ('left', 'right')


def open_dynamic_replica(root: Path, split: str = 'train') -> DataSet:
    """Dynamic Replica under `root`, which holds `train/`, `valid/`, `test/`; metres.

    Both cameras are views. Flow and tracks are known where the release has them.
    """
    folder = root / split
    path = folder / f'frame_annotations_{split}.jgz'
    frames: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for entry in read_annotations(path):
        frames[entry['sequence_name']][entry['camera_name']].append(entry)
    recordings = []
    for name, cameras in sorted(frames.items()):
        views = [sorted(cameras[c], key=_number) for c in _CAMERAS if c in cameras]
        if len({tuple(map(_number, view)) for view in views}) != 1:
            raise DataSetError(f'{path} lists other frames for the cameras of {name}')
        reader = _Reader(folder, tuple(tuple(view) for view in views))
        recordings.append(Recording(name, len(views), len(views[0]), reader.read))
    return DataSet('dynamic_replica', metric=True, recordings=tuple(recordings))


def _number(entry: Mapping[str, Any]) -> int:
    return int(entry['frame_number'])


@dataclass(frozen=True, eq=False)
class _Reader:
    folder: Path
    views: tuple[tuple[Mapping[str, Any], ...], ...]

    def read(self, view: int, instant: int) -> RawFrame:
        entry = self.views[view][instant]
        image = read_rgb(self.folder / entry['image']['path'])
        size = (image.shape[0], image.shape[1])
        path = self.folder / entry['depth']['path']
        depth = require_size(path, _read_half_floats(path), size)
        intrinsics, pose = camera(entry['viewpoint'], size)
        last = instant + 1 == len(self.views[view])
        return RawFrame(
            image,
            instant / _RATE,
            intrinsics,
            pose,
            np.where(depth > 0, depth, np.nan).astype(np.float32),
            flow_forward=None if last else self._flow(entry, 'forward', size),
            flow_backward=self._flow(entry, 'backward', size) if instant else None,
            tracks=self._tracks(entry),
        )

    def _path(self, entry: Mapping[str, Any], kind: str) -> Path | None:
        found = entry.get(kind)
        return self.folder / found['path'] if found and found.get('path') else None

    def _flow(
        self, entry: Mapping[str, Any], way: str, size: tuple[int, int]
    ) -> np.ndarray | None:
        """Flow [h, w, 2]: u and v side by side in one PNG of half floats, and a mask beside."""
        path, mask_path = (self._path(entry, f'flow_{way}{end}') for end in ('', '_mask'))
        if path is None or mask_path is None:
            return None
        both = require_size(path, _read_half_floats(path), (size[0], 2 * size[1]))
        known = require_size(mask_path, read_png(mask_path, np.uint8), size) > 0
        flow = np.stack([both[:, : size[1]], both[:, size[1] :]], axis=-1)
        return np.where(known[..., None], flow, np.nan)

    def _tracks(self, entry: Mapping[str, Any]) -> Tracks | None:
        path = self._path(entry, 'trajectories')
        if path is None:
            return None
        try:
            found = torch.load(path, weights_only=True)
            points, visible = found['traj_3d_world'], found['verts_inds_vis']
        except (OSError, EOFError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
            raise DataSetError(f'cannot read the tracks in {path}: {error}') from error
        return Tracks(points.numpy().astype(float), visible.numpy().astype(bool))


def _read_half_floats(path: Path) -> np.ndarray:
    """float32 [h, w] of a PNG of 16 bits that are half precision floats."""
    return read_png(path, np.uint16).view(np.float16).astype(np.float32)

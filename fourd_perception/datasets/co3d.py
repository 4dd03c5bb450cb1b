"""Co3Dv2: videos around 19,000 objects of 50 kinds, reconstructed by COLMAP.

https://github.com/facebookresearch/co3d, CC BY-NC 4.0. Reizenstein et al., Common objects in 3D
(ICCV 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    read_png,
    read_rgb,
    require_folder,
    require_size,
)
from fourd_perception.datasets.implicitron import camera, read_annotations
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.clips import IGNORED, STATIC
import numpy as np

_ANNOTATIONS = 'frame_annotations.jgz'


def open_co3d(root: Path, categories: tuple[str, ...] = ()) -> DataSet:
    """The sequences of some categories below a folder, of all that are there by default.

    frame_annotations.jgz of every category is read here: tens of seconds for a large one.

    No metric scale. Depth is a 16-bit PNG whose bits are a float16, times `scale_adjustment`,
    and counts where the depth mask is set. Viewpoints are PyTorch3D's (x left, y up, row
    vectors, NDC) and become OpenCV's. What has depth was found at one place by several images
    and is static; the rest is unlabelled. Sequences without viewpoints have images alone.
    """
    require_folder(root, 'categories')
    names = categories or sorted(p.parent.name for p in root.glob(f'*/{_ANNOTATIONS}'))
    if not names:
        raise DataSetError(f'{root} holds no <category>/{_ANNOTATIONS}; download Co3Dv2 there')
    recordings = [r for name in names for r in _recordings(root, root / name / _ANNOTATIONS)]
    return DataSet('co3d', metric=False, recordings=tuple(recordings))


def _recordings(root: Path, path: Path) -> list[Recording]:
    """The sequences of a category, their frames by number."""
    sequences: dict[str, list[_Frame]] = {}
    for entry in read_annotations(path):
        try:
            frame = _Frame.of(entry)
            sequences.setdefault(entry['sequence_name'], []).append(frame)
        except (KeyError, TypeError, ValueError) as error:
            raise DataSetError(f'{path} holds an entry of another form: {error!r}') from error
    category = path.parent.name
    return [
        _recording(root, f'{category}/{name}', frames)
        for name, frames in sorted(sequences.items())
    ]


def _recording(root: Path, name: str, frames: list[_Frame]) -> Recording:
    frames.sort(key=lambda frame: frame.number)
    return Recording(name, 1, len(frames), _Sequence(root, tuple(frames)).read)


@dataclass(frozen=True, eq=False)
class _Frame:
    """One entry of the annotations; size is (height, width), paths are below the root."""

    number: int
    seconds: float
    image: str
    size: tuple[int, int]
    intrinsics: np.ndarray | None
    world_from_camera: np.ndarray | None
    depth: str | None
    depth_mask: str | None
    depth_scale: float

    @staticmethod
    def of(entry: Mapping[str, Any]) -> _Frame:
        """From the JSON of a frame; viewpoint and depth may be absent."""
        height, width = entry['image']['size']
        view, depth = entry.get('viewpoint'), entry.get('depth') or {}
        intrinsics, pose = camera(view, (height, width)) if view else (None, None)
        return _Frame(
            number=int(entry['frame_number']),
            seconds=float(entry['frame_timestamp']),
            image=entry['image']['path'],
            size=(height, width),
            intrinsics=intrinsics,
            world_from_camera=pose,
            depth=depth.get('path'),
            depth_mask=depth.get('mask_path'),
            depth_scale=float(depth.get('scale_adjustment') or 1.0),
        )


@dataclass(frozen=True, eq=False)
class _Sequence:
    root: Path
    frames: tuple[_Frame, ...]

    def read(self, view: int, instant: int) -> RawFrame:
        """The frame of an image; there is one view."""
        frame = self.frames[instant]
        path = self.root / frame.image
        depth = self._depth(frame)
        known = None if depth is None else ~np.isnan(depth)
        dynamic = None if known is None else np.where(known, STATIC, IGNORED).astype(np.uint8)
        return RawFrame(
            image=require_size(path, read_rgb(path), frame.size),
            seconds=frame.seconds,
            intrinsics=frame.intrinsics,
            world_from_camera=frame.world_from_camera,
            depth=depth,
            dynamic=dynamic,
        )

    def _depth(self, frame: _Frame) -> np.ndarray | None:
        """float32 [h, w], NaN where unknown; its size may differ from the image's."""
        if frame.depth is None:
            return None
        bits = read_png(self.root / frame.depth, np.uint16)
        depth = bits.view(np.float16).astype(np.float32) * np.float32(frame.depth_scale)
        known = np.isfinite(depth) & (depth > 0)
        if frame.depth_mask is not None:
            path = self.root / frame.depth_mask
            known &= require_size(path, read_png(path, np.uint8), depth.shape) > 0
        return np.where(known, depth, np.float32(np.nan))

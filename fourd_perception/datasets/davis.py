"""DAVIS 2016 and 2017: videos with masks of the objects that stand out and move.

https://davischallenge.org, made for research; the videos have several owners, so read the terms
there before other use. Perazzi et al. (CVPR 2016), Pont-Tuset et al. (arXiv:1704.00675).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourd_perception.datasets.dataset import DataSet, Recording
from fourd_perception.datasets.files import (
    DataSetError,
    read_bytes,
    read_rgb,
    require_folder,
    require_size,
)
from fourd_perception.datasets.raw_frame import RawFrame
from fourd_perception.geometry.clips import DYNAMIC, IGNORED
import numpy as np
from PIL import Image, UnidentifiedImageError

_RATE = 24.0
_VOID = 255
_LISTS = {
    2016: ('ImageSets/2016/{}.txt', 'ImageSets/480p/{}.txt'),
    2017: ('ImageSets/2017/{}.txt',),
}


def open_davis(
    root: Path, year: int = 2017, split: str = 'train', annotations: str = 'Annotations'
) -> DataSet:
    """The videos of a split at 480p below the folder that holds `JPEGImages`.

    year:        whose ImageSets name the videos; the release of 2016 has lists of its own
    annotations: `Annotations`, or `Annotations_unsupervised`

    Only images and masks are known. `instances` are the annotated objects, 0 elsewhere: what the
    protocol of DAVIS scores (specification D.4: any object is foreground); -1 in frames without
    a mask and where it is void. `dynamic` follows B.16 instead: annotated objects were chosen
    because they move, and are dynamic; but of other pixels nobody says that they are still -
    spectators, water and shadows move unannotated - and they are ignored, not static. There are
    no stamps; the videos were made 24 images a second.
    """
    if year not in _LISTS:
        raise ValueError(f'DAVIS has no year {year}; take one of {tuple(_LISTS)}')
    require_folder(root / annotations / '480p', 'masks')
    recordings = [_recording(root, annotations, n) for n in _videos(root, year, split)]
    return DataSet('davis', metric=False, recordings=tuple(recordings))


def _videos(root: Path, year: int, split: str) -> list[str]:
    """Names in the list of a split; the release of 2016 lists every image of them."""
    lists = [root / pattern.format(split) for pattern in _LISTS[year]]
    path = next((p for p in lists if p.exists()), lists[0])
    firsts = [line.split()[0] for line in read_bytes(path).decode().splitlines() if line.split()]
    names = [Path(first).parent.name if '/' in first else first for first in firsts]
    if not names:
        raise DataSetError(f'{path} names no video; copy the release again')
    return list(dict.fromkeys(names))


def _recording(root: Path, annotations: str, name: str) -> Recording:
    images = tuple(sorted((root / 'JPEGImages/480p' / name).glob('*.jpg')))
    if not images:
        raise DataSetError(f'{root / "JPEGImages/480p" / name} holds no *.jpg; unpack DAVIS again')
    masks = require_folder(root / annotations / '480p' / name, 'masks of the video')
    return Recording(name, 1, len(images), _Video(images, masks).read)


@dataclass(frozen=True)
class _Video:
    images: tuple[Path, ...]
    masks: Path

    def read(self, view: int, instant: int) -> RawFrame:
        """The frame of an image; there is one view."""
        path = self.images[instant]
        image = read_rgb(path)
        instances = self._instances(self.masks / f'{path.stem}.png', image.shape[:2])
        return RawFrame(
            image=image,
            seconds=int(path.stem) / _RATE,
            dynamic=np.where(instances > 0, DYNAMIC, IGNORED).astype(np.uint8),
            instances=instances,
        )

    def _instances(self, path: Path, size: tuple[int, int]) -> np.ndarray:
        """int16 [h, w]; test videos have a mask for their first image alone."""
        if not path.exists():
            return np.full(size, -1, np.int16)
        return require_size(path, _read_mask(path), size)


def _read_mask(path: Path) -> np.ndarray:
    """Objects int16 [h, w] of a mask: palette numbers with 255 void, or (2016) white for one."""
    try:
        with Image.open(path) as mask:
            values = np.asarray(mask)
            numbered = mask.mode == 'P'
    except (UnidentifiedImageError, OSError) as error:
        raise DataSetError(f'{path} is no mask that can be decoded: {error}') from error
    if numbered:
        return np.where(values == _VOID, np.int16(-1), values.astype(np.int16))
    white = values if values.ndim == 2 else values[..., 0]
    return (white > 0).astype(np.int16)

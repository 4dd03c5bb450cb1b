"""Reading the recordings that networks are judged on for want of anything exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
from fourd_perception.evaluation.clip_evaluation import NETWORK
from fourd_perception.evaluation.real_room import OVERLAPPING, Room
from fourd_perception.evaluation.score_table import Bar, Row, Table
import numpy as np

VIDEO, ROOM, RIG = 'bedroom_video', 'room_rgbd', 'four_cameras_balance'
# Every second frame of a video of 30 a second.
VIDEO_RATE = 15.0


def require_any(data: Path) -> None:
    """Raise FileNotFoundError where none of the three recordings lies in a folder."""
    if not any((data / name).is_dir() for name in (VIDEO, ROOM, RIG)):
        raise FileNotFoundError(
            f'{data.absolute()} holds none of the folders {VIDEO}, {ROOM}, {RIG}; '
            'docs/accuracy.md says what is in them'
        )


def absent(folder: Path, bars: Sequence[Bar]) -> Table:
    """The table of a recording that is not there: it has no value, and none of its bars holds."""
    missing = f'not found: {folder.absolute()}'
    return Table(folder.name, [Row('recording', {}, NETWORK, bars, missing=missing)])


def read_video(folder: Path) -> list[np.ndarray]:
    """Frames uint8 [h, w, 3] RGB of a folder of JPEGs, in the order of their names."""
    frames = [_picture(path) for path in sorted(folder.glob('*.jpg'))]
    if len(frames) < 5:
        raise ValueError(f'{folder}: {len(frames)} frames (*.jpg); flow over 4 frames needs 5')
    return frames


def read_room(folder: Path) -> Room:
    """Photographs `0.png`, `1.png` ... and `ground_truth.npz` (depths, poses, intrinsics)."""
    truth = np.load(folder / 'ground_truth.npz')
    wanted = 1 + max(number for pair in OVERLAPPING for number in pair)
    if len(truth['depths']) < wanted:
        raise ValueError(
            f'{folder}: {len(truth["depths"])} photographs; the pairs that are compared are of '
            f'the first {wanted}'
        )
    images = [_picture(folder / f'{number}.png') for number in range(len(truth['depths']))]
    return Room(
        images,
        truth['depths'],
        truth['poses'].astype(float),
        truth['intrinsics'].astype(float),
    )


def _picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise ValueError(f'{path} is not there or no picture that OpenCV reads')
    return picture

"""Reading the recordings that networks are judged on for want of anything exact."""

from __future__ import annotations

from pathlib import Path

import cv2
from fourd_perception.evaluation.real_room import Room
import numpy as np

VIDEO, ROOM, RIG = 'bedroom_video', 'room_rgbd', 'four_cameras_balance'
# Every second frame of a video of 30 a second.
VIDEO_RATE = 15.0


def folders(data: Path) -> list[str]:
    """Which of the three recordings lie in a folder.

    Raises FileNotFoundError where none does.
    """
    found = [name for name in (VIDEO, ROOM, RIG) if (data / name).is_dir()]
    if not found:
        raise FileNotFoundError(
            f'{data} holds none of the folders {VIDEO}, {ROOM}, {RIG}; docs/accuracy.md says '
            'what is in them'
        )
    return found


def read_video(folder: Path) -> list[np.ndarray]:
    """Frames uint8 [h, w, 3] RGB of a folder of JPEGs, in the order of their names."""
    frames = [_picture(path) for path in sorted(folder.glob('*.jpg'))]
    if len(frames) < 5:
        raise ValueError(f'{folder}: {len(frames)} frames (*.jpg); flow over 4 frames needs 5')
    return frames


def read_room(folder: Path) -> Room:
    """Photographs `0.png`, `1.png` ... and `ground_truth.npz` (depths, poses, intrinsics)."""
    truth = np.load(folder / 'ground_truth.npz')
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

"""Networks judged on the real recordings of a folder, the videos of a rig among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fourd_perception.bag.rig_videos import read_frames
from fourd_perception.evaluation import real_inputs, real_rig, real_room, real_video
from fourd_perception.evaluation.clip_evaluation import NETWORK, network_answers
from fourd_perception.evaluation.examples import Example, shown
from fourd_perception.evaluation.picture_grids import lay_pictures, Pictures
from fourd_perception.evaluation.score_table import Table
from fourd_perception.model.prediction import Predictor
import numpy as np

# Of the rig's videos: pixels of the longer side once rectified, and instants between two taken.
LONGEST_SIDE, EVERY = 640, 4
SHOWN_FRAMES = (0, 12, 24, 36)
Found = tuple[list[Table], list[Example]]


def evaluate_recordings(
    predictor: Predictor, data: Path, progress: Callable[[str, float], None]
) -> Found:
    """Tables and examples of every recording that lies in `data`; of the others, that they do not.

    progress: takes the name of a recording and the share of it that is done
    Raises FileNotFoundError where there is none.
    """
    recordings = {
        real_inputs.VIDEO: (_video, real_video.BARS),
        real_inputs.ROOM: (_room, (real_room.BAR,)),
        real_inputs.RIG: (_rig, real_rig.BARS),
    }
    real_inputs.require_any(data)
    tables: list[Table] = []
    examples: list[Example] = []
    for name, (method, bars) in recordings.items():
        if not (data / name).is_dir():
            tables.append(real_inputs.absent(data / name, bars))
            continue

        def told(share: float, name: str = name) -> None:
            progress(name, share)

        found, some = method(predictor, data / name, told)
        tables += found
        examples += some
    return tables, examples


def _video(predictor: Predictor, folder: Path, progress: Callable[[float], None]) -> Found:
    frames = real_inputs.read_video(folder)
    seconds = [number / real_inputs.VIDEO_RATE for number in range(len(frames))]
    video = lay_pictures([frames], [None], seconds, predictor.info.patch)
    table = real_video.score_video(predictor, video, progress)
    starts = [start for start in SHOWN_FRAMES if start + 1 < len(frames)]
    return [table], [_example(predictor, video, start, f'frame {start}') for start in starts]


def _example(predictor: Predictor, video: Pictures, start: int, name: str) -> Example:
    times = range(start, min(start + 4, video.images.shape[1]))
    answer = network_answers(predictor, video.grid(times))[NETWORK]
    return shown(name, video.images[0, start], answer, 0)


def _room(predictor: Predictor, folder: Path, progress: Callable[[float], None]) -> Found:
    room = real_inputs.read_room(folder)
    table, depths = real_room.score_room(predictor, room, progress)
    return [table], [
        Example(f'photograph {number}{whose}', image, depth)
        for number, image in enumerate(room.images)
        for whose, depth in (('', depths[number]), (', truth', room.depth[number]))
    ]


def _rig(predictor: Predictor, folder: Path, progress: Callable[[float], None]) -> Found:
    frames = read_frames(folder / 'rig.yaml', LONGEST_SIDE, EVERY)
    known = [camera.intrinsics for camera in frames.cameras]
    rig = lay_pictures(frames.images, known, frames.seconds, predictor.info.patch)
    poses = np.array([camera.base_from_camera for camera in frames.cameras], float)
    table, answer, start = real_rig.score_rig(predictor, rig, poses, progress)
    return [table], [
        shown(camera.name, rig.images[view, start], answer, view)
        for view, camera in enumerate(frames.cameras)
    ]

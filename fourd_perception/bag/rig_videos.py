"""Videos of a calibrated rig as a rosbag2 recording of rectified images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
from fourd_perception.bag.arrival import IMAGE_LATENCY, INFO_LATENCY, NEXT_CAMERA
from fourd_perception.bag.qos import LATCHED
from fourd_perception.bag.rig_file import read_rig, RigCamera, RigError
from fourd_perception.bag.types import BagTypes
from fourd_perception.bag.writer import BagWriter, whole_or_nothing
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.wire.camera_info import camera_info_message
from fourd_perception.wire.images import image_message
from fourd_perception.wire.transforms import Edge, tf_message
import numpy as np

# Videos know no date; a fixed one makes the same videos give the same recording.
START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
# Channels of a grey video differ by what its decoder rounds.
GREY_TOLERANCE = 4

_TYPES = BagTypes()


@dataclass(frozen=True, eq=False)
class Rectifier:
    """Raw images of one camera to rectified ones: undistorted at full size, then made smaller.

    camera:     the pinhole camera of the rectified image
    map_x, map_y: float32 [H, W], where in the raw image each rectified full-size pixel lies
    """

    camera: CameraModel
    map_x: np.ndarray
    map_y: np.ndarray

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """uint8 [h, w] or [h, w, 3] of the rectified image."""
        flat = cv2.remap(raw, self.map_x, self.map_y, cv2.INTER_LINEAR)
        # Area averages keep PixelMap's pixel centres, and do not alias as single samples do.
        size = self.camera.width, self.camera.height
        return (
            flat
            if size == flat.shape[1::-1]
            else cv2.resize(flat, size, None, 0, 0, cv2.INTER_AREA)
        )


def make_rectifier(rig: RigCamera, longest_side: int | None) -> Rectifier:
    """Rectifier of a camera whose images get `longest_side` px on the longer side.

    The other side keeps the aspect; None leaves the size as recorded. The new focal lengths are
    the least at which every rectified pixel lies in the raw image.
    """
    full = rig.width, rig.height
    matrix, _ = cv2.getOptimalNewCameraMatrix(rig.matrix, rig.distortion, full, 0.0)
    map_x, map_y = cv2.initUndistortRectifyMap(
        rig.matrix, rig.distortion, None, matrix, full, cv2.CV_32FC1
    )
    scale = 1.0 if longest_side is None else longest_side / max(full)
    size = round(scale * full[0]), round(scale * full[1])
    camera = CameraModel(
        name=rig.name,
        width=size[0],
        height=size[1],
        intrinsics=PixelMap.resize(full, size).intrinsics(np.asarray(matrix, float)),
        frame_id=f'{rig.name}_optical_frame',
        base_from_camera=rig.lab_from_camera,
    )
    return Rectifier(camera, map_x, map_y)


def make_bag(
    rig_file: Path | str,
    out: Path | str,
    longest_side: int | None = None,
    every: int = 1,
    seconds: float | None = None,
    rate: Fraction | None = None,
    frame: str = 'lab',
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the videos of a rig file (see `read_rig`) to a new rosbag2 folder.

    Per camera `/<c>/image_rect` (mono8 where the video is grey, else bgr8) and `/<c>/camera_info`
    (P = [K|0], D = 0); `/tf_static` from `frame` to `<c>_optical_frame`. Frame n of every video
    has the stamp n / rate after a fixed start, in whole nanoseconds.

    longest_side: of the rectified images, px; as recorded when None
    every:        take every n-th frame
    seconds:      of the videos to take; all when None
    rate:         frames per second; the videos' own when None
    progress:     called with frames done and in all

    Raises RigError for anything that does not fit, BagError when the folder is already there;
    after an error nothing is left.
    """
    if every < 1 or (seconds is not None and seconds <= 0):
        raise RigError(f'every {every} and seconds {seconds} must be at least 1 and above 0')
    if longest_side is not None and longest_side < 16:
        raise RigError(f'images of {longest_side} px on the longer side are too small; take 16')
    rigs = read_rig(rig_file)
    with ExitStack() as stack:
        videos = [stack.enter_context(_opened(rig)) for rig in rigs]
        rate = rate or _common_rate(rigs, videos)
        count = _common_length(rigs, videos)
        if seconds is not None:
            count = min(count, int(seconds * rate))
        encodings = [_encoding(rig, video) for rig, video in zip(rigs, videos)]
        rectifiers = [make_rectifier(rig, longest_side) for rig in rigs]
        with whole_or_nothing(out) as writer:
            _declare(writer, rectifiers, frame)
            for number in range(count):
                stamp = START + number * SECOND * rate.denominator // rate.numerator
                wanted = number % every == 0
                frames = [_next_frame(r, v, number, wanted) for r, v in zip(rigs, videos)]
                _write(writer, rectifiers, encodings, frames, stamp)
                if progress is not None:
                    progress(number + 1, count)


@dataclass(frozen=True, eq=False)
class RigFrames:
    """Rectified images of a rig's videos in memory.

    cameras: per view
    images:  per view, uint8 [h, w, 3] RGB of every instant taken
    seconds: of every instant
    """

    cameras: list[CameraModel]
    images: list[list[np.ndarray]]
    seconds: list[float]


def read_frames(rig_file: Path | str, longest_side: int, every: int) -> RigFrames:
    """Every `every`-th instant of the videos of a rig file, rectified as `make_bag` does.

    longest_side: of the rectified images, px
    Raises RigError for anything that does not fit.
    """
    rigs = read_rig(rig_file)
    rectifiers = [make_rectifier(rig, longest_side) for rig in rigs]
    images: list[list[np.ndarray]] = [[] for _ in rigs]
    with ExitStack() as stack:
        videos = [stack.enter_context(_opened(rig)) for rig in rigs]
        rate, count = _common_rate(rigs, videos), _common_length(rigs, videos)
        for number in range(count):
            for view, (rig, video) in enumerate(zip(rigs, videos)):
                raw = _next_frame(rig, video, number, wanted=number % every == 0)
                if raw is not None:
                    images[view].append(np.ascontiguousarray(rectifiers[view](raw)[..., ::-1]))
    seconds = [float(number / rate) for number in range(0, count, every)]
    return RigFrames([rectifier.camera for rectifier in rectifiers], images, seconds)


def _declare(writer: BagWriter, rectifiers: Sequence[Rectifier], frame: str) -> None:
    cameras = [rectifier.camera for rectifier in rectifiers]
    writer.topic('/tf_static', 'tf2_msgs/msg/TFMessage', LATCHED)
    for camera in cameras:
        writer.topic(f'/{camera.name}/camera_info', 'sensor_msgs/msg/CameraInfo')
        writer.topic(f'/{camera.name}/image_rect', 'sensor_msgs/msg/Image')
    edges = [
        Edge(frame, camera.frame_id, camera.base_from_camera, START)
        for camera in cameras
        if camera.base_from_camera is not None
    ]
    writer.write('/tf_static', START, tf_message(_TYPES, edges))


def _write(
    writer: BagWriter,
    rectifiers: Sequence[Rectifier],
    encodings: Sequence[str],
    frames: Sequence[np.ndarray | None],
    stamp: int,
) -> None:
    """Images and calibration of one instant, in the order of their arrival."""
    messages = []
    for place, raw in enumerate(frames):
        if raw is None:
            continue
        camera, late = rectifiers[place].camera, stamp + place * NEXT_CAMERA
        image = rectifiers[place](raw[..., 1] if encodings[place] == 'mono8' else raw)
        packed = image_message(_TYPES, stamp, camera.frame_id, image, encodings[place])
        info = camera_info_message(_TYPES, stamp, camera)
        messages.append((late + INFO_LATENCY, f'/{camera.name}/camera_info', info))
        messages.append((late + IMAGE_LATENCY, f'/{camera.name}/image_rect', packed))
    for log_time, topic, message in sorted(messages, key=lambda item: item[:2]):
        writer.write(topic, log_time, message)


@contextmanager
def _opened(rig: RigCamera) -> Iterator[Any]:
    video = cv2.VideoCapture(str(rig.video))
    try:
        if not video.isOpened():
            raise RigError(
                f'OpenCV cannot read the video {rig.video} of camera {rig.name}; is it whole, and '
                'in a format such as mp4?'
            )
        yield video
    finally:
        video.release()


def _common_rate(rigs: Sequence[RigCamera], videos: Sequence[Any]) -> Fraction:
    rates = [Fraction(video.get(cv2.CAP_PROP_FPS)).limit_denominator(1001) for video in videos]
    if min(rates) <= 0 or len(set(rates)) > 1:
        found = ', '.join(f'{rig.name} {float(r):g}' for rig, r in zip(rigs, rates))
        raise RigError(f'the videos run at {found} frames per second; give one rate for all')
    return rates[0]


def _common_length(rigs: Sequence[RigCamera], videos: Sequence[Any]) -> int:
    counts = [int(video.get(cv2.CAP_PROP_FRAME_COUNT)) for video in videos]
    if min(counts) <= 0 or len(set(counts)) > 1:
        found = ', '.join(f'{rig.name} {count}' for rig, count in zip(rigs, counts))
        raise RigError(
            f'the videos hold {found} frames; synchronised videos must be equally long, cut them'
        )
    return counts[0]


def _encoding(rig: RigCamera, video: Any) -> str:
    """mono8 when the first and the middle frame are grey; leaves the video at its start."""
    grey = True
    for position in (int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // 2, 0):
        video.set(cv2.CAP_PROP_POS_FRAMES, position)
        frame = _next_frame(rig, video, position, wanted=True)
        assert frame is not None
        spread = frame.max(axis=2).astype(int) - frame.min(axis=2)
        grey = grey and int(spread.max()) <= GREY_TOLERANCE
    video.set(cv2.CAP_PROP_POS_FRAMES, 0)
    return 'mono8' if grey else 'bgr8'


def _next_frame(rig: RigCamera, video: Any, number: int, wanted: bool) -> np.ndarray | None:
    """The next frame, uint8 [H, W, 3] BGR, or None when it is not wanted."""
    if not video.grab():
        raise RigError(
            f'the video {rig.video} of camera {rig.name} ends or breaks at frame {number}'
        )
    if not wanted:
        return None
    ok, frame = video.retrieve()
    if not ok:
        raise RigError(f'frame {number} of the video {rig.video} of camera {rig.name} is broken')
    if frame.shape[:2] != (rig.height, rig.width):
        raise RigError(
            f'the video {rig.video} has {frame.shape[1]}x{frame.shape[0]} pixels, the rig file '
            f'says {rig.width}x{rig.height} for camera {rig.name}; its calibration does not fit'
        )
    return frame

"""ScanNet, on a scan of the painted room, as downloaded and as exported."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import struct
import sys
import zlib

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.scannet import open_scannet
from fourd_perception.geometry.clips import STATIC
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from painted_room import assert_shows_room, PaintedRoom, rays_through

COLOUR_SIZE, DEPTH_SIZE = (242, 324), (120, 160)
# The two views differ in extent and middle, a little more than ScanNet's.
COLOUR = np.array([[292.0, 0, 165.0, 0], [0, 292.0, 118.0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
DEPTH = np.array([[138.0, 0, 76.0, 0], [0, 138.0, 62.0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
FRAMES = 4
LOST = 1
WINDOW = ClipSpec(size=(96, 128), instants=FRAMES)
NAME = 'scene0000_00'


class Scan:
    """What the tablet recorded; tracking was lost at one frame."""

    def __init__(self) -> None:
        room = PaintedRoom()
        self.poses = np.stack([room.pose(number / 4) for number in range(FRAMES)])
        self.jpegs, self.depths = [], []
        for number, pose in enumerate(self.poses):
            rays = rays_through(COLOUR, COLOUR_SIZE)
            image, _ = room.seen(rays, COLOUR_SIZE, number / 4, pose)
            _, depth = room.seen(rays_through(DEPTH, DEPTH_SIZE), DEPTH_SIZE, number / 4, pose)
            raw = np.round(1000 * depth).astype(np.uint16)
            raw[:30] = 0
            self.depths.append(raw)
            coded = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
            self.jpegs.append(coded.tobytes())
        self.poses[LOST] = -np.inf

    def write_export(self, folder: Path) -> None:
        for kind in ('color', 'depth', 'pose', 'intrinsic'):
            (folder / kind).mkdir(parents=True)
        for number in range(FRAMES):
            (folder / f'color/{number}.jpg').write_bytes(self.jpegs[number])
            cv2.imwrite(str(folder / f'depth/{number}.png'), self.depths[number])
            np.savetxt(folder / f'pose/{number}.txt', self.poses[number])
        for kind, matrix in (('color', COLOUR), ('depth', DEPTH)):
            np.savetxt(folder / f'intrinsic/intrinsic_{kind}.txt', matrix)
            np.savetxt(folder / f'intrinsic/extrinsic_{kind}.txt', np.eye(4))

    def write_sens(self, path: Path, version: int = 4, colour_code: int = 2) -> None:
        path.parent.mkdir(parents=True)
        name = b'StructureSensor'
        parts = [struct.pack('<IQ', version, len(name)), name]
        for matrix in (COLOUR, np.eye(4), DEPTH, np.eye(4)):
            parts.append(matrix.astype('<f4').tobytes())
        sizes = (*COLOUR_SIZE[::-1], *DEPTH_SIZE[::-1])
        parts.append(struct.pack('<iiIIIIfQ', colour_code, 1, *sizes, 1000.0, FRAMES))
        for number in range(FRAMES):
            depth = zlib.compress(self.depths[number].astype('<u2').tobytes())
            parts.append(self.poses[number].astype('<f4').tobytes())
            stamp = 1_000_000 + 33_000 * number
            lengths = len(self.jpegs[number]), len(depth)
            parts.append(struct.pack('<QQQQ', stamp, stamp + 500, *lengths))
            parts += [self.jpegs[number], depth]
        parts.append(struct.pack('<Q', 0))  # IMU frames follow, none here
        path.write_bytes(b''.join(parts))

    @property
    def known_poses(self) -> np.ndarray:
        """[1, T, 4, 4], NaN where tracking was lost."""
        return np.where(np.isfinite(self.poses), self.poses, np.nan)[None]


@pytest.fixture(scope='module')
def scan() -> Scan:
    return Scan()


def test_export_shows_the_room(tmp_path: Path, scan: Scan) -> None:
    scan.write_export(tmp_path / NAME)
    clips = open_scannet(tmp_path).clip(0, WINDOW)
    assert_shows_room(clips, np.arange(FRAMES) / 4, scan.known_poses, coverage=0.65)
    lost = open_scannet(tmp_path).recordings[0].read(0, LOST)
    assert lost.world_from_camera is None
    # The upper quarter of the depth image was not measured.
    assert clips.depth[..., :18, :].isnan().all()
    assert (clips.dynamic == STATIC).all()
    assert clips.metric.all()
    np.testing.assert_allclose(clips.seconds[0, 0], np.arange(FRAMES) / 30)


def test_container_shows_the_room(tmp_path: Path, scan: Scan) -> None:
    scan.write_sens(tmp_path / f'{NAME}/{NAME}.sens')
    clips = open_scannet(tmp_path).clip(0, WINDOW)
    assert_shows_room(clips, np.arange(FRAMES) / 4, scan.known_poses, coverage=0.65)
    np.testing.assert_allclose(clips.seconds[0, 0], 1 + 0.033 * np.arange(FRAMES))


def test_export_of_every_tenth_frame(tmp_path: Path, scan: Scan) -> None:
    scan.write_export(tmp_path / NAME)
    for kind, end in (('color', 'jpg'), ('depth', 'png'), ('pose', 'txt')):
        for number in reversed(range(FRAMES)):
            folder = tmp_path / NAME / kind
            (folder / f'{number}.{end}').rename(folder / f'{10 * number}.{end}')
    clips = open_scannet(tmp_path).clip(0, WINDOW)
    np.testing.assert_allclose(clips.seconds[0, 0], np.arange(FRAMES) / 3)
    assert_shows_room(clips, np.arange(FRAMES) / 4, scan.known_poses, coverage=0.65)


def test_container_that_is_cut_short_is_named(tmp_path: Path, scan: Scan) -> None:
    path = tmp_path / f'{NAME}/{NAME}.sens'
    scan.write_sens(path)
    data = path.read_bytes()
    for length in (2, 100, 400, len(data) - 5000):
        path.write_bytes(data[:length])
        with pytest.raises(DataSetError, match=re.escape(str(path))):
            open_scannet(tmp_path).clip(0, WINDOW)


@pytest.mark.parametrize('format', [{'version': 3}, {'colour_code': 0}])
def test_container_of_another_format_is_named(
    tmp_path: Path, scan: Scan, format: dict[str, int]
) -> None:
    path = tmp_path / f'{NAME}/{NAME}.sens'
    scan.write_sens(path, **format)
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_scannet(tmp_path)


@pytest.mark.parametrize('name', ['color/2.jpg', 'depth/2.png', 'pose/2.txt'])
def test_bad_file_of_an_export_is_named(tmp_path: Path, scan: Scan, name: str) -> None:
    scan.write_export(tmp_path / NAME)
    path = tmp_path / NAME / name
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_scannet(tmp_path).clip(0, WINDOW)


def test_missing_depth_is_named(tmp_path: Path, scan: Scan) -> None:
    scan.write_export(tmp_path / NAME)
    path = tmp_path / NAME / 'depth/0.png'
    path.unlink()
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_scannet(tmp_path).clip(0, WINDOW)


def test_sensors_that_are_apart_are_refused(tmp_path: Path, scan: Scan) -> None:
    scan.write_export(tmp_path / NAME)
    apart = np.eye(4)
    apart[0, 3] = 0.03
    np.savetxt(tmp_path / NAME / 'intrinsic/extrinsic_depth.txt', apart)
    with pytest.raises(DataSetError, match='0.03'):
        open_scannet(tmp_path).clip(0, WINDOW)


def test_absent_scans_are_named(tmp_path: Path, scan: Scan) -> None:
    with pytest.raises(DataSetError, match=re.escape(str(tmp_path))):
        open_scannet(tmp_path)
    scan.write_export(tmp_path / NAME)
    shutil.rmtree(tmp_path / NAME / 'color')
    with pytest.raises(DataSetError, match=NAME):
        open_scannet(tmp_path)

"""Waymo, on a drive of two cameras through the painted room in the processed layout."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.waymo import open_waymo
from fourd_perception.geometry.clips import IGNORED
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))

from painted_room import assert_shows_room, PaintedRoom, rays_through

OpenEXR = pytest.importorskip('OpenEXR', reason='Waymo is read by OpenEXR, which is not here')
FRAMES = (17, 18, 19)
WINDOW = ClipSpec(size=(64, 96), instants=3, views=2)
# Front and front left: images of two heights, lenses of their own, one stronger than real.
CAMERAS = {
    1: ((256, 384), 400.0, (0.04, -0.34, 0.001, -0.001, 0.0)),
    2: ((176, 384), 390.0, (-0.25, 0.08, 0.0, 0.002, 0.1)),
}


def intrinsics_of(camera: int) -> np.ndarray:
    (height, width), focal, _ = CAMERAS[camera]
    return np.array([[focal, 0, width / 2 + 3], [0, focal, height / 2 - 2], [0, 0, 1]])


def write_segment(folder: Path) -> np.ndarray:
    """Two cameras, three frames; returns poses [V, T, 4, 4]."""
    folder.mkdir(parents=True)
    room, random = PaintedRoom(), np.random.default_rng(0)
    poses = np.empty((2, len(FRAMES), 4, 4))
    front_from_left = np.eye(4)
    front_from_left[:3, :3] = Rotation.from_euler('y', -45, degrees=True).as_matrix()
    front_from_left[:3, 3] = -0.1, 0.0, -0.05
    for instant, frame in enumerate(FRAMES):
        seconds = 0.1 * instant
        poses[0, instant] = room.pose(seconds)
        poses[1, instant] = room.pose(seconds) @ front_from_left
        for view, (camera, (size, _, distortion)) in enumerate(CAMERAS.items()):
            intrinsics, pose = intrinsics_of(camera), poses[view, instant]
            rays = rays_through(intrinsics, size, distortion)
            image, depth = room.seen(rays, size, seconds, pose)
            stem = folder / f'{frame:05d}_{camera}'
            quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
            cv2.imwrite(f'{stem}.jpg', image[..., ::-1], quality)
            met = random.random(size) < 0.1
            write_exr(Path(f'{stem}.exr'), np.where(met, depth, np.float32(0)))
            np.savez(
                f'{stem}.npz',
                intrinsics=intrinsics.astype(np.float32),
                cam2world=pose.astype(np.float32),
                distortion=np.float32(distortion),
            )
    return poses


def write_exr(path: Path, depth: np.ndarray, channels: str = 'Y') -> None:
    header = {'compression': OpenEXR.ZIP_COMPRESSION, 'type': OpenEXR.scanlineimage}
    OpenEXR.File(header, dict.fromkeys(channels, depth)).write(str(path))


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp('waymo')
    poses = write_segment(root / 'segment-10023947602400723454_1120_000_1140_000')
    (root / 'waymo_pairs_video.npz').touch()
    return root, poses


@pytest.fixture
def copied(tmp_path: Path, written: tuple[Path, np.ndarray]) -> Path:
    """A segment to be spoilt."""
    return Path(shutil.copytree(next(written[0].glob('*/')), tmp_path / 'segment'))


def test_segment_shows_the_room(written: tuple[Path, np.ndarray]) -> None:
    root, poses = written
    clips = open_waymo(root).clip(0, WINDOW)
    # A pixel of the clip takes 16 or 7.6 of the image, of which one in ten was met.
    assert_shows_room(clips, [0, 0.1, 0.2], poses, np.array([[0.75] * 3, [0.45] * 3]))
    assert clips.metric.all()
    assert (clips.dynamic == IGNORED).all()
    np.testing.assert_allclose(clips.seconds[0], np.tile([1.7, 1.8, 1.9], (2, 1)))


def test_depth_lies_on_the_ray_of_its_pixel(written: tuple[Path, np.ndarray]) -> None:
    """Undistorted lidar is where a pinhole camera sees that depth; 1.6 % off without."""
    root, poses = written
    room, camera = PaintedRoom(), 1
    size = CAMERAS[camera][0]
    frame = open_waymo(root).recordings[0].read(0, 0)
    _, true = room.seen(rays_through(intrinsics_of(camera), size), size, 0.0, poses[0, 0])
    known = np.isfinite(frame.depth)
    assert 0.09 < known.mean() < 0.11
    wrong = np.abs(frame.depth[known] / true[known] - 1)
    assert np.quantile(wrong, 0.95) < 4e-3


@pytest.mark.parametrize('kind', ['jpg', 'exr', 'npz'])
@pytest.mark.parametrize('spoil', ['missing', 'cut', 'empty'])
def test_bad_file_is_named(copied: Path, kind: str, spoil: str) -> None:
    path = copied / f'00018_2.{kind}'
    data = path.read_bytes()
    path.unlink()
    if spoil != 'missing':
        path.write_bytes(data[: len(data) // 2] if spoil == 'cut' else b'')
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_waymo(copied.parent).clip(0, WINDOW)


def test_other_content_is_named(copied: Path) -> None:
    data = open_waymo(copied.parent)
    path = copied / '00017_1.exr'
    write_exr(path, np.ones((256, 384), np.float32), 'RGB')
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        data.clip(0, WINDOW)
    write_exr(path, np.ones((128, 192), np.float32))
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        data.clip(0, WINDOW)
    np.savez(copied / '00017_1.npz', intrinsics=np.eye(3))
    with pytest.raises(DataSetError, match=r'00017_1\.npz'):
        data.clip(0, WINDOW)


def test_absent_segments_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=re.escape(str(tmp_path))):
        open_waymo(tmp_path)

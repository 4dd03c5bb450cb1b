"""TUM RGB-D and Bonn, on recordings of the painted room in their layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import pickle
import re
import shutil
import sys

import cv2
from fourd_perception.datasets.bonn import open_bonn
from fourd_perception.datasets.dataset import ClipSpec, DataSet
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.tum_rgbd import open_tum_rgbd
from fourd_perception.geometry.clips import IGNORED, STATIC
import numpy as np
import pytest
from scipy.linalg import polar
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))

from painted_room import assert_shows_room, PaintedRoom, rays_through

SIZE = 480, 640
START = 1_305_031_102.0
# Seconds of the images; the truth has rows from 0.1 to 0.75, the third image has no depth.
IMAGES = (0.0213, 0.2, 0.3331, 0.4667, 0.6, 0.8)
COVERAGE = np.array([[0.8, 0.8, 0.0, 0.8, 0.8, 0.8]])
WINDOW = ClipSpec(size=(96, 128), instants=6)
FREIBURG3 = np.array([[535.4, 0, 320.1], [0, 539.2, 247.6], [0, 0, 1]])
FREIBURG1 = np.array([[517.3, 0, 318.6], [0, 516.5, 255.3], [0, 0, 1]])
FREIBURG1_LENS = (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
BONN = np.array([[542.822841, 0, 315.593520], [0, 542.576870, 237.756098], [0, 0, 1]])
BONN_LENS = (0.039903, -0.099343, -0.000730, -0.000144, 0.0)


def write_recording(
    folder: Path,
    intrinsics: np.ndarray,
    distortion: tuple[float, ...],
    tracked: Callable[[np.ndarray], np.ndarray],
) -> None:
    """A recording as both sets store it; `tracked` is what the motion capture tells of a pose."""
    room = PaintedRoom()
    (folder / 'rgb').mkdir(parents=True)
    (folder / 'depth').mkdir()
    rays = rays_through(intrinsics, SIZE, distortion)
    colours, depths = ['# color images'], ['# depth maps']
    for number, seconds in enumerate(IMAGES):
        image, depth = room.seen(rays, SIZE, seconds, None)
        stamp = f'{START + seconds:.6f}'
        cv2.imwrite(str(folder / f'rgb/{stamp}.png'), image[..., ::-1])
        colours.append(f'{stamp} rgb/{stamp}.png')
        # The depth camera has a clock of its own.
        stamp = f'{START + seconds + (0.035 if number == 2 else -0.013):.6f}'
        raw = np.round(5000 * depth).astype(np.uint16)
        raw[:40], raw[40:50] = 0, 65535
        cv2.imwrite(str(folder / f'depth/{stamp}.png'), raw)
        depths.append(f'{stamp} depth/{stamp}.png')
    rows = ['# timestamp tx ty tz qx qy qz qw']
    for seconds in np.arange(0.1, 0.75, 0.0099):
        pose = tracked(room.pose(seconds))
        quaternion = Rotation.from_matrix(pose[:3, :3]).as_quat()
        values = ' '.join(f'{value:.7f}' for value in (*pose[:3, 3], *quaternion))
        rows.append(f'{START + seconds:.6f} {values}')
    for name, lines in (('rgb', colours), ('depth', depths), ('groundtruth', rows)):
        (folder / f'{name}.txt').write_text('\n'.join(lines) + '\n')


def of_markers(pose: np.ndarray) -> np.ndarray:
    """What Bonn's motion capture tells: inverse of T_ros @ told @ T_ros @ T_m."""
    ros = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    markers = np.eye(4)
    turned = [[1.0157, 0.1828, -0.2389], [0.0009, -0.8431, -0.6413], [-0.3009, 0.6147, -0.8085]]
    markers[:3, :3] = polar(np.array(turned))[0]
    markers[:3, 3] = 0.0113, -0.0098, 0.0111
    return np.linalg.inv(ros) @ pose @ np.linalg.inv(markers) @ np.linalg.inv(ros)


@pytest.fixture(scope='module')
def tum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('tum')
    write_recording(
        root / 'rgbd_dataset_freiburg1_desk', FREIBURG1, FREIBURG1_LENS, lambda pose: pose
    )
    write_recording(
        root / 'rgbd_dataset_freiburg3_walking_xyz', FREIBURG3, (0.0,) * 5, lambda pose: pose
    )
    return root


@pytest.fixture(scope='module')
def bonn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('bonn')
    write_recording(root / 'rgbd_bonn_balloon', BONN, BONN_LENS, of_markers)
    (root / 'rgbd_bonn_balloon.zip').touch()
    return root


@pytest.fixture(scope='module')
def true_poses() -> np.ndarray:
    """[1, T, 4, 4]; the first and last images lie outside the trajectory."""
    poses = np.stack([PaintedRoom().pose(seconds) for seconds in IMAGES])
    poses[[0, -1]] = np.nan
    return poses[None]


@pytest.mark.parametrize('number', [0, 1], ids=['freiburg1', 'freiburg3'])
def test_tum_shows_the_room(tum: Path, true_poses: np.ndarray, number: int) -> None:
    clips = pickle.loads(pickle.dumps(open_tum_rgbd(tum))).clip(number, WINDOW)
    assert_shows_room(clips, IMAGES, true_poses, COVERAGE)
    assert clips.metric.all()
    np.testing.assert_allclose(clips.seconds[0, 0] - START, IMAGES, atol=1e-6)


def test_bonn_shows_the_room(bonn: Path, true_poses: np.ndarray) -> None:
    clips = pickle.loads(pickle.dumps(open_bonn(bonn))).clip(0, WINDOW)
    assert_shows_room(clips, IMAGES, true_poses, COVERAGE)
    assert clips.metric.all()


def test_unmeasured_depth_is_unknown(tum: Path) -> None:
    clips = open_tum_rgbd(tum).clip(1, WINDOW)
    # Rows 0-39 hold 0, rows 40-49 hold 65535: ten rows of the clip.
    depth = clips.depth[0, 0, 0]
    assert depth[:10].isnan().all()
    assert depth[10:].isfinite().all()


def test_labels_are_known_in_still_rooms_alone(tum: Path) -> None:
    desk, walking = (open_tum_rgbd(tum).clip(number, WINDOW) for number in (0, 1))
    assert (desk.dynamic == STATIC).all()
    assert (walking.dynamic == IGNORED).all()


def test_last_window_ends_with_the_last_image(tum: Path) -> None:
    data, pairs = open_tum_rgbd(tum), ClipSpec(size=(96, 128), instants=2)
    assert data.windows(pairs) == 2 * (len(IMAGES) - 1)
    last = data.clip(data.windows(pairs) - 1, pairs)
    np.testing.assert_allclose(last.seconds[0, 0] - START, IMAGES[-2:], atol=1e-6)
    with pytest.raises(IndexError):
        data.clip(data.windows(pairs), pairs)


@pytest.mark.parametrize('kind', ['rgb', 'depth'])
@pytest.mark.parametrize('spoil', ['missing', 'empty', 'cut', 'small'])
def test_bad_image_is_named(tmp_path: Path, tum: Path, kind: str, spoil: str) -> None:
    name = 'rgbd_dataset_freiburg3_walking_xyz'
    shutil.copytree(tum / name, tmp_path / name)
    path = sorted((tmp_path / name / kind).iterdir())[1]
    data = path.read_bytes()
    if spoil == 'missing':
        path.unlink()
    elif spoil == 'small':
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:240])
    else:
        path.write_bytes(data[: len(data) // 2] if spoil == 'cut' else b'')
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_tum_rgbd(tmp_path).clip(0, WINDOW)


def test_depth_of_8_bits_is_named(tmp_path: Path, tum: Path) -> None:
    name = 'rgbd_dataset_freiburg3_walking_xyz'
    shutil.copytree(tum / name, tmp_path / name)
    path = sorted((tmp_path / name / 'depth').iterdir())[1]
    cv2.imwrite(str(path), np.zeros(SIZE, np.uint8))
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_tum_rgbd(tmp_path).clip(0, WINDOW)


@pytest.mark.parametrize('name', ['rgb', 'depth', 'groundtruth'])
def test_missing_list_is_named_at_once(tmp_path: Path, tum: Path, name: str) -> None:
    folder = tmp_path / 'rgbd_dataset_freiburg3_walking_xyz'
    folder.mkdir()
    for kind in {'rgb', 'depth', 'groundtruth'} - {name}:
        shutil.copy(tum / folder.name / f'{kind}.txt', folder)
    with pytest.raises(DataSetError, match=re.escape(str(folder / f'{name}.txt'))):
        open_tum_rgbd(tmp_path)


@pytest.mark.parametrize('opener', [open_tum_rgbd, open_bonn])
def test_absent_recordings_are_named(tmp_path: Path, opener: Callable[[Path], DataSet]) -> None:
    with pytest.raises(DataSetError, match=re.escape(str(tmp_path))):
        opener(tmp_path)
    with pytest.raises(DataSetError, match='nowhere'):
        opener(tmp_path / 'nowhere')

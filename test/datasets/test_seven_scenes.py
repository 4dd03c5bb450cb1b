"""7-Scenes, on a sequence of the painted room in its layout."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.seven_scenes import open_seven_scenes
from fourd_perception.geometry.clips import STATIC
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))

from painted_room import assert_shows_room, PaintedRoom, rays_through

SIZE = 480, 640
FRAMES = 3
SECONDS = np.arange(FRAMES) / 3
COLOUR = np.array([[525.0, 0, 320], [0, 525, 240], [0, 0, 1]])
DEPTH = np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]])
WINDOW = ClipSpec(size=(96, 128), instants=FRAMES)


def colour_from_depth() -> np.ndarray:
    """The depth sensor is 25.6 mm to the left of the colour camera, turned by 0.66 degrees."""
    out = np.eye(4)
    matrix = [
        [0.99996518, 0.00267651, -0.00790410],
        [-0.00274093, 0.99996303, -0.00815045],
        [0.00788199, 0.00817183, 0.99993555],
    ]
    out[:3, :3] = Rotation.from_matrix(matrix).as_matrix()
    out[:3, 3] = -0.02555894, 0.00010110, 0.00203183
    return out


def write_sequence(folder: Path) -> np.ndarray:
    """Frames in the layout of the set; returns poses [1, T, 4, 4] of the colour camera."""
    folder.mkdir(parents=True)
    room, poses = PaintedRoom(), []
    for number in range(FRAMES):
        seconds = SECONDS[number]
        pose = room.pose(seconds)
        image, _ = room.seen(rays_through(COLOUR, SIZE), SIZE, seconds, pose)
        tracked = pose @ colour_from_depth()
        _, depth = room.seen(rays_through(DEPTH, SIZE), SIZE, seconds, tracked)
        raw = np.round(1000 * depth).astype(np.uint16)
        raw[:, :100], raw[:, 100:200] = 0, 65535
        stem = folder / f'frame-{number:06d}'
        cv2.imwrite(f'{stem}.color.png', image[..., ::-1])
        cv2.imwrite(f'{stem}.depth.png', raw)
        rows = ['\t '.join(f'{value:.7e}' for value in row) for row in tracked]
        Path(f'{stem}.pose.txt').write_text('\t \n'.join(rows) + '\t \n')
        poses.append(pose)
    return np.stack(poses)[None]


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp('seven_scenes')
    poses = write_sequence(root / 'chess/seq-01')
    shutil.copytree(root / 'chess/seq-01', root / 'chess/seq-03')
    (root / 'chess/TrainSplit.txt').write_text('sequence1\r\n')
    (root / 'chess/TestSplit.txt').write_text('sequence3\r\n')
    return root, poses


def test_registered_here_it_shows_the_room(written: tuple[Path, np.ndarray]) -> None:
    root, poses = written
    clips = open_seven_scenes(root).clip(0, WINDOW)
    # 200 of 640 columns were not measured, and the depth sensor sees less than the camera.
    assert_shows_room(clips, SECONDS, poses, coverage=0.54)
    assert clips.depth[..., :30].isnan().all()
    assert (clips.dynamic == STATIC).all()
    assert clips.metric.all()
    np.testing.assert_allclose(clips.seconds[0, 0], np.arange(FRAMES) / 30)


def test_depth_that_is_registered_already_is_taken(
    tmp_path: Path, written: tuple[Path, np.ndarray]
) -> None:
    root, poses = written
    folder = tmp_path / 'chess/seq-01'
    shutil.copytree(root / 'chess/seq-01', folder)
    room = PaintedRoom()
    for number in range(FRAMES):
        _, depth = room.seen(rays_through(COLOUR, SIZE), SIZE, SECONDS[number], None)
        raw = np.round(1000 * depth).astype(np.uint16)
        cv2.imwrite(str(folder / f'frame-{number:06d}.depth.proj.png'), raw)
    clips = open_seven_scenes(tmp_path).clip(0, WINDOW)
    assert_shows_room(clips, SECONDS, poses, coverage=0.99)


def test_splits(written: tuple[Path, np.ndarray]) -> None:
    root, _ = written
    names = {
        split: [r.name for r in open_seven_scenes(root, split).recordings]
        for split in ('all', 'train', 'test')
    }
    assert names == {
        'all': ['chess/seq-01', 'chess/seq-03'],
        'train': ['chess/seq-01'],
        'test': ['chess/seq-03'],
    }
    with pytest.raises(ValueError, match='validation'):
        open_seven_scenes(root, 'validation')


@pytest.mark.parametrize('kind', ['color.png', 'depth.png', 'pose.txt'])
@pytest.mark.parametrize('spoil', ['missing', 'cut'])
def test_bad_file_is_named(
    tmp_path: Path, written: tuple[Path, np.ndarray], kind: str, spoil: str
) -> None:
    shutil.copytree(written[0] / 'chess/seq-01', tmp_path / 'chess/seq-01')
    path = tmp_path / f'chess/seq-01/frame-000001.{kind}'
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    opened = open_seven_scenes(tmp_path)
    if spoil == 'missing':
        path.unlink()
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        opened.clip(0, WINDOW)


def test_lost_tracking_is_an_unknown_pose(
    tmp_path: Path, written: tuple[Path, np.ndarray]
) -> None:
    root, poses = written
    shutil.copytree(root / 'chess/seq-01', tmp_path / 'chess/seq-01')
    lost = poses.copy()
    lost[0, 1] = np.nan
    text = ' '.join(['nan'] * 4)
    (tmp_path / 'chess/seq-01/frame-000001.pose.txt').write_text('\n'.join([text] * 4))
    clips = open_seven_scenes(tmp_path).clip(0, WINDOW)
    assert_shows_room(clips, SECONDS, lost, coverage=0.54)

"""KITTI depth and flow, on miniatures in their layouts: sparse truth in 16-bit PNGs."""

from __future__ import annotations

from pathlib import Path
import pickle
import shutil
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.kitti import open_kitti_depth, open_kitti_flow
from fourd_perception.geometry.clips import OCCLUDED, UNKNOWN, VISIBLE
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, Seen

SIZE = 192, 320
BASELINE = 0.54
WINDOW = ClipSpec(size=(48, 64), instants=2)
DRIVE = '2011_09_26_drive_0001_sync'


def met_by_lidar(size: tuple[int, int]) -> np.ndarray:
    """Bool [h, w]: one pixel in twelve; none in the upper quarter."""
    met = np.random.default_rng(5).random(size) < 1 / 12
    met[: size[0] // 4] = False
    return met


def calibration(miniature: Miniature) -> str:
    """Lines of calib_cam_to_cam.txt that matter, and one that does not."""
    lines = ['calib_time: 09-Jan-2012 13:57:47']
    for camera, aside in (('02', 0.06), ('03', 0.06 - BASELINE)):
        projection = miniature.intrinsics @ np.array(
            [[1, 0, 0, aside], [0, 1, 0, 0], [0, 0, 1, 0]]
        )
        lines.append(f'P_rect_{camera}: ' + ' '.join(f'{x:.9e}' for x in projection.ravel()))
    return '\n'.join(lines) + '\n'


def write_kitti_depth(root: Path, miniature: Miniature) -> None:
    """A drive of six raw frames; the first and the fourth have no truth."""
    images = root / 'raw' / DRIVE[:10] / DRIVE / 'image_02/data'
    truth = root / 'train' / DRIVE / 'proj_depth/groundtruth/image_02'
    for folder in (images, truth):
        folder.mkdir(parents=True)
    (root / 'raw' / DRIVE[:10] / 'calib_cam_to_cam.txt').write_text(calibration(miniature))
    for k in range(6):
        image = miniature.image(0, k)[..., ::-1]
        cv2.imwrite(str(images / f'{k:010d}.png'), image)
        depth = np.nan_to_num(miniature.depth(0, k)) * met_by_lidar(SIZE)
        if k not in (0, 3):
            stored = np.round(256 * depth).astype(np.uint16)
            cv2.imwrite(str(truth / f'{k:010d}.png'), stored)


def write_kitti_flow(root: Path, miniature: Miniature) -> None:
    """The pair 000003 of scene flow 2015."""
    training = root / 'training'
    for kind in ('image_2', 'flow_occ', 'flow_noc', 'disp_occ_0', 'calib_cam_to_cam'):
        (training / kind).mkdir(parents=True)
    for k in (0, 1):
        image = miniature.image(0, k)[..., ::-1]
        cv2.imwrite(str(training / f'image_2/000003_1{k}.png'), image)
    flow, depth = miniature.flow(0, 0, 1), miniature.depth(0, 0)
    met = met_by_lidar(SIZE) & ~np.isnan(depth)
    for kind, known in (('occ', met), ('noc', met & ~miniature.occluded(0, 0, 1))):
        stored = np.round(64 * np.nan_to_num(flow) + 2**15) * known[..., None]
        bgr = np.stack([known, stored[..., 1], stored[..., 0]], axis=-1).astype(np.uint16)
        cv2.imwrite(str(training / f'flow_{kind}/000003_10.png'), bgr)
    disparity = miniature.intrinsics[0, 0] * BASELINE / depth
    stored = np.round(256 * np.where(met, np.nan_to_num(disparity), 0)).astype(np.uint16)
    cv2.imwrite(str(training / 'disp_occ_0/000003_10.png'), stored)
    (training / 'calib_cam_to_cam/000003.txt').write_text(calibration(miniature))


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE, instants=6)


@pytest.fixture
def depth_root(miniature: Miniature, tmp_path: Path) -> Path:
    write_kitti_depth(tmp_path, miniature)
    return tmp_path


@pytest.fixture
def flow_root(miniature: Miniature, tmp_path: Path) -> Path:
    write_kitti_flow(tmp_path, miniature)
    return tmp_path


def check_sparse_depth(depth: np.ndarray, seen: Seen, stamp: int) -> None:
    """What the lidar met is right; a new pixel covers 16 old ones, so most have met one."""
    true = seen.recording.depth(seen.cameras[0], stamp)
    assert np.isnan(depth[:10]).all()
    below = ~np.isnan(true[24:])
    assert (~np.isnan(depth[24:]))[below].mean() > 0.6
    error = np.abs(depth / true - 1)
    assert np.nanmedian(error) < 0.03 and np.nanquantile(error, 0.8) < 0.1


def test_kitti_depth_shows_the_street(depth_root: Path, miniature: Miniature) -> None:
    data = pickle.loads(pickle.dumps(open_kitti_depth(depth_root)))
    # Two runs of frames with truth, 1-2 and 4-5; no window over the gap.
    assert [r.instants for r in data.recordings] == [2, 2]
    assert data.windows(WINDOW) == 2
    clips = data.clip(1, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    for k in (0, 1):
        check_sparse_depth(clips.depth[0, 0, k].numpy(), seen, miniature.stamps[4 + k])
        np.testing.assert_allclose(
            clips.intrinsics[0, 0, k], seen.cameras[0].intrinsics, atol=1e-3
        )
    assert clips.world_from_camera.isnan().all() and clips.flow_forward.isnan().all()
    assert clips.metric.all()


def test_kitti_flow_shows_the_street(flow_root: Path, miniature: Miniature) -> None:
    clips = pickle.loads(pickle.dumps(open_kitti_flow(flow_root))).clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    check_sparse_depth(clips.depth[0, 0, 0].numpy(), seen, miniature.stamps[0])
    flow = clips.flow_forward[0, 0, 0].numpy()
    true, occluded = seen.recording.flow(seen.cameras[0], *miniature.stamps[:2])
    error = np.linalg.norm(flow - true.transpose(2, 0, 1), axis=0)
    assert (~np.isnan(error)).mean() > 0.3
    assert np.nanmedian(error) < 0.05
    hidden = clips.occluded_forward[0, 0, 0].numpy()
    known = ~np.isnan(flow[0])
    assert (hidden[~known] == UNKNOWN).all() and np.isin(hidden[known], (VISIBLE, OCCLUDED)).all()
    assert ((hidden == OCCLUDED) == occluded)[known].mean() > 0.95 and (hidden == OCCLUDED).any()
    for name in ('depth', 'flow_forward'):
        assert getattr(clips, name)[0, 0, 1].isnan().all()
    assert clips.flow_backward.isnan().all()


def test_flow_without_calibration(flow_root: Path) -> None:
    shutil.rmtree(flow_root / 'training/calib_cam_to_cam')
    clips = open_kitti_flow(flow_root).clip(0, WINDOW)
    assert clips.depth.isnan().all() and clips.flow_forward.isfinite().any()


def test_what_is_missing_is_named(depth_root: Path) -> None:
    path = depth_root / 'raw' / DRIVE[:10] / 'calib_cam_to_cam.txt'
    path.write_text('P_rect_02: 1 2 3\n')
    with pytest.raises(DataSetError, match='calib_cam_to_cam.txt holds no P_rect_02'):
        open_kitti_depth(depth_root).clip(0, WINDOW)
    shutil.rmtree(path.parent)
    with pytest.raises(DataSetError, match=f'raw images of {DRIVE}'):
        open_kitti_depth(depth_root)

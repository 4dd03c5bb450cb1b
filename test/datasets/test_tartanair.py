"""TartanAir, on a miniature in its layout: NED poses, ego-flow with masks."""

from __future__ import annotations

from pathlib import Path
import pickle
import shutil
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.tartanair import open_tartanair
from fourd_perception.geometry.clips import IGNORED, OCCLUDED, STATIC, UNKNOWN, VISIBLE
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, MOVER, Seen

SIZE = 480, 640
INTRINSICS = np.array([[320.0, 0, 320], [0, 320, 240], [0, 0, 1]])
WINDOW = ClipSpec(size=(96, 128), instants=2, views=2)
# North, east, down of the miniature's forward, left, up.
NED = np.diag([1.0, -1.0, -1.0])


def write_tartanair(trajectory: Path, miniature: Miniature) -> None:
    """P000 of a place: the sky at 10 km, flow as if nothing moved, masked where that is wrong."""
    for name in ('image_left', 'depth_left', 'image_right', 'depth_right', 'flow'):
        (trajectory / name).mkdir(parents=True)
    for view, side in enumerate(('left', 'right')):
        rows = []
        for k in range(miniature.instants):
            image = cv2.cvtColor(miniature.image(view, k), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(trajectory / f'image_{side}/{k:06d}_{side}.png'), image)
            depth = np.nan_to_num(miniature.depth(view, k), nan=10000.0)
            np.save(trajectory / f'depth_{side}/{k:06d}_{side}_depth.npy', depth)
            pose = miniature.pose(view, k)
            # The body's axes are forward, right, down: columns z, x, y of the optical ones.
            turned = NED @ pose[:3, :3][:, [2, 0, 1]]
            quaternion = Rotation.from_matrix(turned).as_quat()
            rows.append(' '.join(f'{x:.9f}' for x in (*(NED @ pose[:3, 3]), *quaternion)))
        (trajectory / f'pose_{side}.txt').write_text('\n'.join(rows) + '\n')
    for k in range(miniature.instants - 1):
        flow, mask = ego_flow(miniature, k)
        np.save(trajectory / f'flow/{k:06d}_{k + 1:06d}_flow.npy', flow)
        np.save(trajectory / f'flow/{k:06d}_{k + 1:06d}_mask.npy', mask)


def ego_flow(miniature: Miniature, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Flow float32 [h, w, 2] that depth and poses make, and its mask uint8."""
    height, width = miniature.size
    y, x = np.mgrid[:height, :width].astype(float)
    rays = np.stack([(x - 320) / 320, (y - 240) / 320, np.ones_like(x)]).reshape(3, -1)
    depth = np.nan_to_num(miniature.depth(0, k), nan=10000.0)
    pose = miniature.pose(0, k)
    points = (pose[:3, :3] @ (rays * depth.ravel()) + pose[:3, 3:]).T
    flow = miniature.pixels(points, 0, k + 1).reshape(height, width, 2) - np.stack([x, y], -1)
    mask = np.zeros((height, width), np.uint8)
    wrong = miniature.occluded(0, k, 1) | (miniature.instances(0, k) == MOVER + 1)
    mask[wrong & ~np.isnan(miniature.depth(0, k))] = 1
    there = flow + np.stack([x, y], -1)
    mask[((there < 0) | (there > [width - 1, height - 1])).any(axis=-1)] = 100
    return flow.astype(np.float32), mask


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE, instants=2, intrinsics=INTRINSICS)


@pytest.fixture(scope='module')
def root(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('tartanair')
    write_tartanair(root / 'neighborhood/Easy/P000', miniature)
    return root


def test_tartanair_shows_the_street(root: Path, miniature: Miniature) -> None:
    clips = pickle.loads(pickle.dumps(open_tartanair(root))).clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    seen.check_depth(clips)
    assert clips.metric.all() and clips.present.all()
    assert clips.flow_forward[0, 1].isnan().all() and clips.flow_backward.isnan().all()


def test_masked_flow_is_unknown_and_nobody_calls_the_rest_still(
    root: Path, miniature: Miniature
) -> None:
    clips = open_tartanair(root).clip(0, WINDOW)
    flow, hidden, label = (
        getattr(clips, name)[0, 0, 0].numpy()
        for name in ('flow_forward', 'occluded_forward', 'dynamic')
    )
    mask = ego_flow(miniature, 0)[1][2::5, 2::5]
    assert (np.isnan(flow).any(axis=0) == (mask == 1)).all()
    assert (hidden[mask == 1] == UNKNOWN).all() and (hidden[mask == 0] == VISIBLE).mean() > 0.99
    assert (hidden[mask == 100] == OCCLUDED).all()
    sky = np.isnan(clips.depth[0, 0, 0].numpy())
    assert sky.any() and (label[sky] == STATIC).all() and (label[~sky] == IGNORED).all()
    true = 0.2 * miniature.flow(0, 0, 1)[2::5, 2::5].transpose(2, 0, 1)
    assert np.nanmedian(np.abs(flow - true)[:, mask == 0]) < 0.01


def test_a_trajectory_without_flow_and_right_camera(root: Path, tmp_path: Path) -> None:
    left = tmp_path / 'place/Hard/P001'
    shutil.copytree(root / 'neighborhood/Easy/P000', left)
    shutil.rmtree(left / 'flow')
    shutil.rmtree(left / 'image_right')
    data = open_tartanair(tmp_path)
    assert [(r.name, r.views) for r in data.recordings] == [('place/Hard/P001', 1)]
    clips = data.clip(0, WINDOW)
    assert clips.present[0].tolist() == [[True, True], [False, False]]
    assert clips.flow_forward.isnan().all()
    (left / 'depth_left/000000_left_depth.npy').write_bytes(b'\x93NUMPY')
    with pytest.raises(DataSetError, match='000000_left_depth.npy'):
        data.clip(0, WINDOW)
    (left / 'pose_left.txt').write_text('0 0 0 0 0 0 1\n')
    with pytest.raises(DataSetError, match='pose_left.txt has 1 rows for 2 images'):
        open_tartanair(tmp_path)

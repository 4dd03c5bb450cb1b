"""Virtual KITTI 2, on a miniature in its layout: centimetres, flow in shares of the image."""

from __future__ import annotations

from pathlib import Path
import pickle
import shutil
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.vkitti2 import open_vkitti2
from fourd_perception.geometry.clips import STATIC
import numpy as np
from PIL import Image
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, MOVER, Seen

SIZE = 112, 160
WINDOW = ClipSpec(size=(96, 128), instants=3, views=2)


def write_vkitti2(variation: Path, miniature: Miniature) -> None:
    """One variation of a scene; sky depth is the largest number, its flow invalid."""
    extrinsic = ['frame cameraID ' + ' '.join(f'r{i},{j}' for i in range(4) for j in range(4))]
    intrinsic = ['frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]']
    k = miniature.intrinsics
    for frame in range(miniature.instants):
        for view in (0, 1):
            write_frame(variation / 'frames', miniature, view, frame)
            inverse = np.linalg.inv(miniature.pose(view, frame))
            extrinsic.append(f'{frame} {view} ' + ' '.join(f'{x:.9f}' for x in inverse.ravel()))
            intrinsic.append(f'{frame} {view} {k[0, 0]} {k[1, 1]} {k[0, 2]} {k[1, 2]}')
    (variation / 'extrinsic.txt').write_text('\n'.join(extrinsic) + '\n')
    (variation / 'intrinsic.txt').write_text('\n'.join(intrinsic) + '\n')


def write_frame(frames: Path, miniature: Miniature, view: int, frame: int) -> None:
    """Images, depth, instances and the flow that there is of one camera at one instant."""

    def path(kind: str, name: str) -> str:
        (frames / kind / f'Camera_{view}').mkdir(parents=True, exist_ok=True)
        return str(frames / kind / f'Camera_{view}' / name)

    image = miniature.image(view, frame)[..., ::-1]
    cv2.imwrite(path('rgb', f'rgb_{frame:05d}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    depth = np.round(100 * np.nan_to_num(miniature.depth(view, frame), nan=655.35))
    cv2.imwrite(path('depth', f'depth_{frame:05d}.png'), depth.astype(np.uint16))
    palette = Image.fromarray(miniature.instances(view, frame)).convert('P')
    palette.putpalette([(37 * i) % 256 for i in range(768)])
    palette.save(path('instanceSegmentation', f'instancegt_{frame:05d}.png'))
    if frame + 1 < miniature.instants:
        name = path('forwardFlow', f'flow_{frame:05d}.png')
        cv2.imwrite(name, encoded_flow(miniature.flow(view, frame, 1)))
    if frame > 0:
        name = path('backwardFlow', f'backwardFlow_{frame:05d}.png')
        cv2.imwrite(name, encoded_flow(miniature.flow(view, frame, -1)))


def encoded_flow(flow: np.ndarray) -> np.ndarray:
    """uint16 [h, w, 3] in OpenCV's order: validity, v, u; (f / (size - 1) + 1) / 2 of 65535."""
    height, width = flow.shape[:2]
    known = ~np.isnan(flow[..., 0])
    shares = (np.nan_to_num(flow) / [width - 1, height - 1] + 1) / 2 * 65535
    u, v = np.round(shares * known[..., None]).astype(np.uint16).transpose(2, 0, 1)
    return np.stack([np.uint16(65535) * known, v, u], axis=-1)


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE)


@pytest.fixture
def root(miniature: Miniature, tmp_path: Path) -> Path:
    write_vkitti2(tmp_path / 'Scene01/clone', miniature)
    return tmp_path


def test_vkitti2_shows_the_street(root: Path, miniature: Miniature) -> None:
    clips = pickle.loads(pickle.dumps(open_vkitti2(root))).clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    seen.check_depth(clips)
    seen.check_flow(clips)
    seen.check_dynamic(clips)
    assert (clips.dynamic[clips.depth.isnan()] == STATIC).all()
    assert clips.metric.all() and clips.present.all()
    np.testing.assert_allclose(clips.seconds[0], [[0.0, 0.1, 0.2]] * 2)


def test_instances_are_numbers_not_colours(root: Path, miniature: Miniature) -> None:
    clips = open_vkitti2(root).clip(0, WINDOW)
    assert set(clips.instances.unique().tolist()) == set(range(MOVER + 2))
    known = clips.instances[0, 0, 0] > 0
    assert (known == clips.depth[0, 0, 0].isfinite()).float().mean() > 0.99


def test_archives_that_were_not_extracted_are_unknown(root: Path) -> None:
    for kind in ('forwardFlow', 'backwardFlow', 'instanceSegmentation'):
        shutil.rmtree(root / 'Scene01/clone/frames' / kind)
    clips = open_vkitti2(root).clip(0, WINDOW)
    assert clips.flow_forward.isnan().all() and (clips.instances == -1).all()
    assert clips.depth.isfinite().any()


def test_a_wrong_file_is_named(root: Path) -> None:
    frames = root / 'Scene01/clone/frames'
    depth = frames / 'depth/Camera_1/depth_00001.png'
    shutil.copy(frames / 'forwardFlow/Camera_1/flow_00001.png', depth)
    with pytest.raises(DataSetError, match='depth_00001.png holds 3 channels'):
        open_vkitti2(root).clip(0, WINDOW)
    cv2.imwrite(str(depth), np.zeros((10, 20), np.uint16))
    with pytest.raises(DataSetError, match='depth_00001.png is 20 x 10, not 160 x 112'):
        open_vkitti2(root).clip(0, WINDOW)
    depth.write_bytes(depth.read_bytes()[:40])
    with pytest.raises(DataSetError, match='depth_00001.png'):
        open_vkitti2(root).clip(0, WINDOW)


def test_a_missing_camera_row_is_named(root: Path) -> None:
    path = root / 'Scene01/clone/extrinsic.txt'
    path.write_text('\n'.join(path.read_text().splitlines()[:-1]))
    with pytest.raises(DataSetError, match='extrinsic.txt has 0 rows of frame 2, camera 1'):
        open_vkitti2(root).clip(0, WINDOW)

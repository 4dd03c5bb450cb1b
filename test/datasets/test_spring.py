"""Spring, on a miniature in its layout: truth of twice the image's size in HDF5."""

from __future__ import annotations

from pathlib import Path
import pickle
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.spring import open_spring
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, Seen

h5py = pytest.importorskip('h5py')

SIZE = 112, 160
BASELINE = 0.065
WINDOW = ClipSpec(size=(96, 128), instants=3, views=2)


def write_spring(sequence: Path, miniature: Miniature) -> None:
    """Sequence 0001: frames from 1, disparity and flow in pixels of the image."""
    k = miniature.intrinsics
    (sequence / 'cam_data').mkdir(parents=True)
    intrinsics, extrinsics = [], []
    for instant in range(miniature.instants):
        intrinsics.append(f'{k[0, 0]} {k[1, 1]} {k[0, 2]} {k[1, 2]}')
        inverse = np.linalg.inv(miniature.pose(0, instant))
        extrinsics.append(' '.join(f'{x:.9f}' for x in inverse.ravel()))
        for view, side in enumerate(('left', 'right')):
            write_frame(sequence, miniature, view, side, instant)
    (sequence / 'cam_data/intrinsics.txt').write_text('\n'.join(intrinsics) + '\n')
    (sequence / 'cam_data/extrinsics.txt').write_text('\n'.join(extrinsics) + '\n')


def write_frame(sequence: Path, miniature: Miniature, view: int, side: str, instant: int) -> None:
    """What there is of one camera at one instant."""
    steps = [('FW', 1)] * (instant + 1 < miniature.instants) + [('BW', -1)] * (instant > 0)

    def path(kind: str, ending: str) -> str:
        folder = sequence / f'{kind}_{side}'
        folder.mkdir(exist_ok=True, parents=True)
        return str(folder / f'{folder.name}_{instant + 1:04d}.{ending}')

    cv2.imwrite(path('frame', 'png'), miniature.image(view, instant)[..., ::-1])
    depth = miniature.depth(view, instant, finer=2)
    disparity = np.nan_to_num(miniature.intrinsics[0, 0] * BASELINE / depth)
    # One spot of the sky shows a disparity, as transparent things do; the map says better.
    disparity[:6, 200:220] = 1.0
    with h5py.File(path('disp1', 'dsp5'), 'w') as file:
        file.create_dataset('disparity', data=disparity.astype(np.float32), compression='gzip')
    cv2.imwrite(path('maps/skymap', 'png'), np.uint8(255) * np.isnan(depth))
    for way, step in steps:
        flow = miniature.flow(view, instant, step, finer=2) / 2
        with h5py.File(path(f'flow_{way}', 'flo5'), 'w') as file:
            file.create_dataset('flow', data=flow, compression='gzip')


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE, baseline=BASELINE)


@pytest.fixture(scope='module')
def root(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('spring')
    write_spring(root / 'train/0001', miniature)
    return root


def test_spring_shows_the_street(root: Path, miniature: Miniature) -> None:
    clips = pickle.loads(pickle.dumps(open_spring(root))).clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    seen.check_depth(clips)
    seen.check_flow(clips)
    seen.check_dynamic(clips)
    assert clips.depth[0, :, :, 0, 82:88].isnan().all()
    assert clips.metric.all() and clips.present.all()


def test_truth_of_another_size_or_key_is_named(root: Path) -> None:
    path = root / 'train/0001/flow_BW_right/flow_BW_right_0002.flo5'
    content = path.read_bytes()
    with h5py.File(path, 'w') as file:
        file['flow'] = np.zeros((*SIZE, 2))
    with pytest.raises(DataSetError, match='flow_BW_right_0002.flo5 is 160 x 112, not 320 x 224'):
        open_spring(root).clip(0, WINDOW)
    with h5py.File(path, 'w') as file:
        file['disparity'] = np.zeros(SIZE)
    with pytest.raises(DataSetError, match="cannot read 'flow' in .*flow_BW_right_0002.flo5"):
        open_spring(root).clip(0, WINDOW)
    path.write_bytes(content[:100])
    with pytest.raises(DataSetError, match='flow_BW_right_0002.flo5'):
        open_spring(root).clip(0, WINDOW)
    path.write_bytes(content)


def test_h5py_is_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(DataSetError, match='pip install h5py'):
        open_spring(root)

"""Sintel, on a miniature in its layout: .dpt, .cam, .flo, and masks as grey images."""

from __future__ import annotations

from pathlib import Path
import pickle
import shutil
import struct
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.sintel import open_sintel
from fourd_perception.geometry.clips import UNKNOWN
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, Seen

SIZE = 112, 160
WINDOW = ClipSpec(size=(96, 128), instants=3)
TAG = struct.pack('<f', 202021.25)


def write_sintel(root: Path, miniature: Miniature) -> None:
    """The sequence `alley_1` of a miniature, frames numbered from 1; the sky is at 1e10."""
    folders = {
        kind: root / 'training' / kind / 'alley_1'
        for kind in ('final', 'depth', 'camdata_left', 'flow', 'occlusions', 'invalid')
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    height, width = miniature.size
    header = TAG + struct.pack('<ii', width, height)
    for k in range(miniature.instants):
        name = f'frame_{k + 1:04d}'
        cv2.imwrite(str(folders['final'] / f'{name}.png'), miniature.image(0, k)[..., ::-1])
        depth = np.nan_to_num(miniature.depth(0, k), nan=1e10).astype('<f4')
        (folders['depth'] / f'{name}.dpt').write_bytes(header + depth.tobytes())
        camera_from_world = np.linalg.inv(miniature.pose(0, k))[:3]
        numbers = np.concatenate([miniature.intrinsics.ravel(), camera_from_world.ravel()])
        (folders['camdata_left'] / f'{name}.cam').write_bytes(TAG + struct.pack('<21d', *numbers))
        if k + 1 == miniature.instants:
            continue
        flow = miniature.flow(0, k, 1)
        known = ~np.isnan(flow[..., 0])
        (folders['flow'] / f'{name}.flo').write_bytes(
            header + np.nan_to_num(flow).astype('<f4').tobytes()
        )
        hidden = miniature.occluded(0, k, 1) & known
        for kind, mask in (('occlusions', hidden), ('invalid', ~known)):
            cv2.imwrite(str(folders[kind] / f'{name}.png'), np.uint8(255) * mask)


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE)


@pytest.fixture
def root(miniature: Miniature, tmp_path: Path) -> Path:
    write_sintel(tmp_path, miniature)
    return tmp_path


def test_sintel_shows_the_street(root: Path, miniature: Miniature) -> None:
    data = pickle.loads(pickle.dumps(open_sintel(root)))
    clips = data.clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    seen.check_depth(clips)
    seen.check_flow(clips, backward=False)
    seen.check_dynamic(clips)
    assert (clips.occluded_backward == UNKNOWN).all()
    assert not clips.metric.any()
    assert data.windows(WINDOW) == 1


def test_flow_alone_is_enough(root: Path) -> None:
    for kind in ('depth', 'camdata_left'):
        shutil.rmtree(root / 'training' / kind)
    clips = open_sintel(root).clip(0, WINDOW)
    assert clips.depth.isnan().all() and clips.intrinsics.isnan().all()
    assert clips.flow_forward[0, 0, 0].isfinite().any()


@pytest.mark.parametrize('name', ['depth/alley_1/frame_0002.dpt', 'flow/alley_1/frame_0002.flo'])
def test_a_file_cut_short_is_named(root: Path, name: str) -> None:
    path = root / 'training' / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataSetError, match=path.name):
        open_sintel(root).clip(0, WINDOW)


def test_a_missing_frame_is_named(root: Path) -> None:
    (root / 'training/final/alley_1/frame_0002.png').unlink()
    with pytest.raises(DataSetError, match='frame_0002.png'):
        open_sintel(root)
    with pytest.raises(DataSetError, match='clean'):
        open_sintel(root, rendering='clean')


def test_a_missing_flow_is_named(root: Path) -> None:
    (root / 'training/flow/alley_1/frame_0001.flo').unlink()
    with pytest.raises(DataSetError, match='frame_0001.flo'):
        open_sintel(root).clip(0, WINDOW)

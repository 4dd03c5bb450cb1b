"""PointOdyssey, on a miniature in its layout: depth of a kilometre in 16 bits, tracks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import pickle
import sys

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.datasets.point_odyssey import open_point_odyssey
from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, Seen

SIZE = 112, 160
WINDOW = ClipSpec(size=(96, 128), instants=3, tracks=50)


def write_point_odyssey(folder: Path, miniature: Miniature) -> None:
    """One sequence; one track that is seen in the last frame is not valid there."""
    for name in ('rgbs', 'depths'):
        (folder / name).mkdir(parents=True)
    for k in range(miniature.instants):
        image = miniature.image(0, k)[..., ::-1]
        name = str(folder / f'rgbs/rgb_{k:05d}.jpg')
        cv2.imwrite(name, image, [cv2.IMWRITE_JPEG_QUALITY, 98])
        depth = np.nan_to_num(miniature.depth(0, k), nan=1000.0) / 1000 * 65535
        # A spot that the renderer left empty.
        depth[-4:, 60:70] = 0
        cv2.imwrite(str(folder / f'depths/depth_{k:05d}.png'), np.round(depth).astype(np.uint16))
    np.savez(folder / 'anno.npz', **annotations(miniature))


def annotations(miniature: Miniature) -> dict[str, np.ndarray]:
    """What anno.npz holds."""
    points, visible = miniature.tracks(0)
    valid = np.ones_like(visible)
    valid[-1, lost(visible)] = False
    instants = range(miniature.instants)
    return {
        'trajs_3d': points.astype(np.float32),
        'trajs_2d': np.stack([miniature.pixels(points[k], 0, k) for k in instants]),
        'visibs': visible,
        'valids': valid,
        'intrinsics': np.stack([miniature.intrinsics] * miniature.instants),
        'extrinsics': np.stack([np.linalg.inv(miniature.pose(0, k)) for k in instants]),
    }


def lost(visible: np.ndarray) -> int:
    """The first track that is seen in the last frame, of visibility [T, N]."""
    return int(np.flatnonzero(visible[-1])[0])


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE)


@pytest.fixture
def root(miniature: Miniature, tmp_path: Path) -> Path:
    write_point_odyssey(tmp_path / 'train/dancing', miniature)
    return tmp_path


def test_point_odyssey_shows_the_street(root: Path, miniature: Miniature) -> None:
    clips = pickle.loads(pickle.dumps(open_point_odyssey(root))).clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    seen.check_depth(clips)
    seen.check_flow(clips, forward=False, backward=False)
    assert clips.metric.all()
    assert clips.depth[0, 0, :, -3:, 50].isnan().all()


def test_tracks_stay_on_their_surfaces(root: Path, miniature: Miniature) -> None:
    clips = open_point_odyssey(root).clip(0, WINDOW)
    points, visible = miniature.tracks(0)
    pose = np.linalg.inv(miniature.pose(0, 0))
    expected = points @ pose[:3, :3].T + pose[:3, 3]
    expected[-1, lost(visible)], visible[-1, lost(visible)] = np.nan, False
    seen = Seen(miniature, WINDOW.size)
    inside = np.stack([seen.inside(points[k], 0, k) for k in range(3)])
    # Some are seen, but beside the part that the clip shows of the image.
    assert (visible & ~inside).any()
    first = np.flatnonzero((visible & inside).any(axis=0))[:50]
    assert not visible.all(axis=0)[first].all() and first[-1] >= 50
    np.testing.assert_allclose(clips.track_points[0], expected[:, first], atol=1e-4)
    np.testing.assert_array_equal(clips.track_visible[0, 0], (visible & inside)[:, first])
    # A seed draws others, the same ones every time; no more than wanted.
    drawn, again = (open_point_odyssey(root).clip(0, WINDOW, seed=7) for _ in range(2))
    assert drawn.track_points.shape == (1, 3, 50, 3)
    np.testing.assert_array_equal(drawn.track_points, again.track_points)
    assert not np.array_equal(drawn.track_points, clips.track_points, equal_nan=True)


def test_tracks_tell_what_moves_where_they_are_seen(root: Path, miniature: Miniature) -> None:
    clips = open_point_odyssey(root).clip(0, WINDOW)
    points, visible = miniature.tracks(0)
    car = np.linalg.norm(points[-1] - points[0], axis=-1) > 0
    camera = Seen(miniature, WINDOW.size).cameras[0]
    for k in range(3):
        pose = miniature.pose(0, k)
        image = (points[k] - pose[:3, 3]) @ pose[:3, :3] @ camera.intrinsics.T
        x, y = np.round(image[:, :2] / image[:, 2:]).astype(int).T
        inside = visible[k] & (x >= 0) & (x < 128) & (y >= 0) & (y < 96)
        label = clips.dynamic[0, 0, k].numpy()
        assert (label[y[inside & car], x[inside & car]] == DYNAMIC).mean() > 0.95
        assert (label[y[inside & ~car], x[inside & ~car]] == STATIC).mean() > 0.95
        ground = ~np.isnan(clips.depth[0, 0, k].numpy())
        assert (label[ground] == IGNORED).mean() > 0.8


def test_the_first_release_is_read_too(root: Path, miniature: Miniature) -> None:
    """Half floats, compressed, no `valids`, and 2 for points outside the range of depth."""
    # Nothing is cropped: half floats put points on the other side of an edge.
    whole = replace(WINDOW, size=SIZE)
    expected = open_point_odyssey(root).clip(0, whole)
    old = {name: a.astype(np.float16) for name, a in annotations(miniature).items()}
    old['visibilities'] = np.where(old.pop('visibs') == 1, 1, 2).astype(np.float16)
    del old['valids']
    write_point_odyssey(root / 'val/dancing', miniature)
    np.savez_compressed(root / 'val/dancing/anno.npz', **old)
    clips = open_point_odyssey(root, split='val').clip(0, whole)
    valid = ~expected.track_points[0, :, :, 0].isnan()
    points, true = (c.track_points[0][valid] for c in (clips, expected))
    np.testing.assert_allclose(points, true, atol=0.05)
    seen, truly = (c.track_visible[0, 0][valid] for c in (clips, expected))
    np.testing.assert_array_equal(seen, truly)


def test_sequences_without_tracks_are_left_out(root: Path, miniature: Miniature) -> None:
    bare = root / 'train/kubric'
    write_point_odyssey(bare, miniature)
    np.savez(bare / 'anno.npz', trajs_2d=np.zeros((3, 4, 2)))
    assert [r.name for r in open_point_odyssey(root).recordings] == ['dancing']


def test_cameras_of_other_axes_are_refused(root: Path, miniature: Miniature) -> None:
    wrong = annotations(miniature)
    wrong['extrinsics'] = np.diag([1.0, -1.0, -1.0, 1.0]) @ wrong['extrinsics']
    np.savez(root / 'train/dancing/anno.npz', **wrong)
    with pytest.raises(DataSetError, match='anno.npz miss its own tracks by'):
        open_point_odyssey(root).clip(0, WINDOW)


def test_broken_annotations_are_named(root: Path, miniature: Miniature) -> None:
    path = root / 'train/dancing/anno.npz'
    short = {name: values[:2] for name, values in annotations(miniature).items()}
    np.savez(path, **short)
    with pytest.raises(DataSetError, match=r'anno.npz is of \[2\] frames, but there are 3'):
        open_point_odyssey(root).clip(0, WINDOW)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataSetError, match='anno.npz'):
        open_point_odyssey(root)

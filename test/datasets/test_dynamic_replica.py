"""Dynamic Replica, on a miniature in its layout: PyTorch3D viewpoints, half floats in PNGs."""

from __future__ import annotations

from dataclasses import replace
import gzip
import json
from pathlib import Path
import pickle
import sys
from typing import Any

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.dynamic_replica import open_dynamic_replica
from fourd_perception.datasets.files import DataSetError
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from miniature import Miniature, Seen

SIZE = 112, 160
NAME = '009850-3_obj'
WINDOW = ClipSpec(size=(96, 128), instants=3, views=2, tracks=40)


def write_dynamic_replica(folder: Path, miniature: Miniature) -> None:
    """The split `train` with one sequence of two cameras; frames listed in disorder."""
    entries = []
    for k in reversed(range(miniature.instants)):
        for view, side in enumerate(('left', 'right')):
            entry = {
                'sequence_name': NAME,
                'camera_name': side,
                'frame_number': k,
                'viewpoint': viewpoint(miniature, view, k),
            }
            entries.append(
                entry | write_frame(folder, miniature, view, f'{NAME}_source_{side}', k)
            )
    content = json.dumps(entries).encode()
    (folder / 'frame_annotations_train.jgz').write_bytes(gzip.compress(content))


def viewpoint(miniature: Miniature, view: int, instant: int) -> dict[str, Any]:
    """Row vectors to a camera with x left and y up; lengths in halves of the smaller side."""
    inverse = np.linalg.inv(miniature.pose(view, instant))
    flip = np.diag([-1.0, -1.0, 1.0])
    height, width = miniature.size
    k, half = miniature.intrinsics, min(height, width) / 2
    # The middle of the image lies at half its size minus half a pixel, if pixel centres are whole.
    middle = [(width - 1) / 2 - k[0, 2], (height - 1) / 2 - k[1, 2]]
    return {
        'R': (inverse[:3, :3].T @ flip).tolist(),
        'T': (flip @ inverse[:3, 3]).tolist(),
        'focal_length': [k[0, 0] / half, k[1, 1] / half],
        'principal_point': [middle[0] / half, middle[1] / half],
        'intrinsics_format': 'ndc_isotropic',
    }


def write_frame(
    folder: Path, miniature: Miniature, view: int, name: str, k: int
) -> dict[str, dict[str, str]]:
    """The files of one frame, and the entries that name them."""
    paths = {
        'image': f'{name}/images/{name}-{k:04d}.png',
        'depth': f'{name}/depths/{name}_{k:04d}.geometric.png',
        'trajectories': f'{name}/trajectories/{k:06d}.pth',
    }
    steps = {'forward': 1} if k + 1 < miniature.instants else {}
    steps |= {'backward': -1} if k else {}
    for way in steps:
        paths[f'flow_{way}'] = f'{name}/flow_{way}/{name}_{k:04d}.png'
        paths[f'flow_{way}_mask'] = f'{name}/flow_{way}_mask/{name}_{k:04d}.png'
    for path in paths.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / paths['image']), miniature.image(view, k)[..., ::-1])
    write_half_floats(folder / paths['depth'], np.nan_to_num(miniature.depth(view, k)))
    for way, step in steps.items():
        flow = miniature.flow(view, k, step)
        known = ~np.isnan(flow[..., 0])
        both = np.concatenate([flow[..., 0], flow[..., 1]], axis=1)
        write_half_floats(folder / paths[f'flow_{way}'], np.nan_to_num(both, nan=1000.0))
        cv2.imwrite(str(folder / paths[f'flow_{way}_mask']), np.uint8(255) * known)
    points, visible = miniature.tracks(0)
    tracks = {
        'traj_3d_world': torch.from_numpy(points[k]).float(),
        'traj_2d': torch.from_numpy(miniature.pixels(points[k], view, k)),
        'verts_inds_vis': torch.from_numpy(visible[k]),
    }
    torch.save(tracks, folder / paths['trajectories'])
    return {kind: {'path': path} for kind, path in paths.items()}


def write_half_floats(path: Path, values: np.ndarray) -> None:
    cv2.imwrite(str(path), values.astype(np.float16).view(np.uint16))


@pytest.fixture(scope='module')
def miniature() -> Miniature:
    return Miniature(SIZE)


@pytest.fixture
def root(miniature: Miniature, tmp_path: Path) -> Path:
    write_dynamic_replica(tmp_path / 'train', miniature)
    return tmp_path


def test_dynamic_replica_shows_the_street(root: Path, miniature: Miniature) -> None:
    clips = pickle.loads(pickle.dumps(open_dynamic_replica(root))).clip(0, WINDOW)
    seen = Seen(miniature, WINDOW.size)
    seen.check_cameras(clips)
    seen.check_depth(clips)
    seen.check_flow(clips)
    seen.check_dynamic(clips)
    points, visible = expected_tracks(miniature)
    first = np.flatnonzero(visible.any(axis=(0, 1)))[:40]
    np.testing.assert_allclose(clips.track_points[0], points[:, first], atol=1e-3)
    np.testing.assert_array_equal(clips.track_visible[0], visible[..., first])
    assert clips.metric.all() and clips.present.all()


def expected_tracks(miniature: Miniature) -> tuple[np.ndarray, np.ndarray]:
    """Points [T, N, 3] in the first camera, and where the clip shows them, bool [V, T, N]."""
    points, visible = miniature.tracks(0)
    seen, pose = Seen(miniature, WINDOW.size), np.linalg.inv(miniature.pose(0, 0))
    inside = [[seen.inside(points[k], view, k) for k in range(3)] for view in range(2)]
    assert (visible & ~np.array(inside)).any()
    return points @ pose[:3, :3].T + pose[:3, 3], visible & inside


@pytest.mark.parametrize(
    'lacking', [[(1, 0), (1, 1), (1, 2)], [(0, 1)], [(0, 1), (1, 1)], [(0, 0), (0, 1), (0, 2)]]
)
def test_tracks_are_where_any_camera_has_them(
    root: Path, miniature: Miniature, lacking: list[tuple[int, int]]
) -> None:
    path = root / 'train/frame_annotations_train.jgz'
    entries = json.loads(gzip.decompress(path.read_bytes()))
    for entry in entries:
        if (('left', 'right').index(entry['camera_name']), entry['frame_number']) in lacking:
            entry['trajectories'] = None
    path.write_bytes(gzip.compress(json.dumps(entries).encode()))
    clips = open_dynamic_replica(root).clip(0, replace(WINDOW, tracks=1000))
    points, visible = expected_tracks(miniature)
    for view, instant in lacking:
        visible[view, instant] = False
        if (1 - view, instant) in lacking:
            points[instant] = np.nan
    first = visible.any(axis=(0, 1))
    np.testing.assert_allclose(clips.track_points[0], points[:, first], atol=1e-3)
    np.testing.assert_array_equal(clips.track_visible[0], visible[..., first])


def test_other_tracks_of_one_frame_are_told(root: Path, miniature: Miniature) -> None:
    path = root / f'train/{NAME}_source_right/trajectories/000001.pth'
    fewer = {name: values[:-3] for name, values in torch.load(path).items()}
    torch.save(fewer, path)
    with pytest.raises(DataSetError, match=rf'frames of {NAME} track \[\d+, \d+\] points'):
        open_dynamic_replica(root).clip(0, WINDOW)


def test_a_camera_with_other_frames_is_named(root: Path) -> None:
    path = root / 'train/frame_annotations_train.jgz'
    entries = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps(entries[1:]).encode()))
    with pytest.raises(DataSetError, match=f'lists other frames for the cameras of {NAME}'):
        open_dynamic_replica(root)


def test_broken_files_are_named(root: Path) -> None:
    sequence = root / f'train/{NAME}_source_left'
    tracks = sequence / 'trajectories/000001.pth'
    tracks.write_bytes(tracks.read_bytes()[:100])
    with pytest.raises(DataSetError, match='000001.pth'):
        open_dynamic_replica(root).clip(0, WINDOW)
    depth = sequence / f'depths/{NAME}_source_left_0000.geometric.png'
    depth.unlink()
    with pytest.raises(DataSetError, match='0000.geometric.png'):
        open_dynamic_replica(root).clip(0, WINDOW)
    annotations = root / 'train/frame_annotations_train.jgz'
    annotations.write_bytes(annotations.read_bytes()[:-20])
    with pytest.raises(DataSetError, match='frame_annotations_train.jgz'):
        open_dynamic_replica(root)

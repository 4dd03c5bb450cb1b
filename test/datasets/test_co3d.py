"""Co3Dv2, on a sequence of the painted room in its layout."""

from __future__ import annotations

from collections.abc import Callable
import gzip
import json
from pathlib import Path
import re
import shutil
import sys
from typing import Any

import cv2
from fourd_perception.datasets.co3d import open_co3d
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.files import DataSetError
from fourd_perception.geometry.clips import IGNORED, STATIC
import numpy as np
from PIL import Image
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from painted_room import assert_shows_room, PaintedRoom, rays_through

SIZE = 240, 160
INTRINSICS = np.array([[150.0, 0, 84.5], [0, 156.0, 117.0], [0, 0, 1]])
# Units of the reconstruction per metre, and per unit of the stored depth.
SCALE, ADJUSTMENT = 3.5, 0.7
FRAMES = 3
WINDOW = ClipSpec(size=(96, 64), instants=FRAMES)


def viewpoint(pose: np.ndarray, layout: str | None) -> dict[str, Any]:
    """A pose and the intrinsics in PyTorch3D's terms, found from points and not by formula."""
    # Rows: where the camera's left, up and forward axes lie in the world, in its units.
    axes = np.stack([-pose[:3, 0], -pose[:3, 1], pose[:3, 2]])
    rotation = axes.T
    translation = -SCALE * pose[:3, 3] @ rotation
    # One unit of NDC in pixels; +1 is the left and the upper edge of the image.
    across, down = SIZE[1] / 2, SIZE[0] / 2
    if layout == 'ndc_isotropic':
        across = down = min(across, down)
    centre = np.array([SIZE[1] / 2, SIZE[0] / 2]) - (INTRINSICS[:2, 2] + 0.5)
    view: dict[str, Any] = {
        'R': rotation.tolist(),
        'T': translation.tolist(),
        'focal_length': [INTRINSICS[0, 0] / across, INTRINSICS[1, 1] / down],
        'principal_point': [centre[0] / across, centre[1] / down],
    }
    return view if layout is None else {**view, 'intrinsics_format': layout}


def write_category(root: Path, layout: str | None = 'ndc_isotropic') -> np.ndarray:
    """Category `apple` with one sequence; returns its poses [1, T, 4, 4]."""
    folder = root / 'apple/110_13051_23361'
    for kind in ('images', 'depths', 'depth_masks'):
        (folder / kind).mkdir(parents=True)
    room, entries, poses = PaintedRoom(), [], []
    for number in range(1, FRAMES + 1):
        seconds = number / 4
        pose = room.pose(seconds)
        image, depth = room.seen(rays_through(INTRINSICS, SIZE), SIZE, seconds, pose)
        name = f'frame{number:06d}'
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        cv2.imwrite(str(folder / f'images/{name}.jpg'), image[..., ::-1], quality)
        stored = (SCALE / ADJUSTMENT * depth).astype(np.float16)
        stored[:20], stored[20:40], stored[40:60] = 0, np.inf, np.nan
        bits = stored.view(np.uint16)
        cv2.imwrite(str(folder / f'depths/{name}.jpg.geometric.png'), bits)
        mask = np.ones(SIZE, bool)
        mask[-60:] = False
        Image.fromarray(mask).save(folder / f'depth_masks/{name}.png')
        below = folder.relative_to(root).as_posix()
        entries.append(
            {
                'sequence_name': folder.name,
                'frame_number': number,
                'frame_timestamp': seconds,
                'image': {'path': f'{below}/images/{name}.jpg', 'size': list(SIZE)},
                'depth': {
                    'path': f'{below}/depths/{name}.jpg.geometric.png',
                    'scale_adjustment': ADJUSTMENT,
                    'mask_path': f'{below}/depth_masks/{name}.png',
                },
                'mask': None,
                'viewpoint': viewpoint(pose, layout),
                'meta': None,
            }
        )
        poses.append(pose)
    # The list is in no order.
    write_annotations(root, entries[::-1])
    return np.stack(poses)[None]


def write_annotations(root: Path, entries: Any) -> None:
    path = root / 'apple/frame_annotations.jgz'
    path.write_bytes(gzip.compress(json.dumps(entries).encode()))


def rewrite(root: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change every entry in place."""
    path = root / 'apple/frame_annotations.jgz'
    entries = json.loads(gzip.decompress(path.read_bytes()))
    for entry in entries:
        change(entry)
    write_annotations(root, entries)


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('co3d')
    write_category(root)
    return root


@pytest.fixture
def copied(tmp_path: Path, written: Path) -> Path:
    """A category to be spoilt."""
    return Path(shutil.copytree(written, tmp_path, dirs_exist_ok=True))


@pytest.mark.parametrize('layout', ['ndc_isotropic', 'ndc_norm_image_bounds', None])
def test_sequence_shows_the_room(tmp_path: Path, layout: str | None) -> None:
    poses = write_category(tmp_path, layout)
    clips = open_co3d(tmp_path).clip(0, WINDOW)
    assert_shows_room(clips, [0.25, 0.5, 0.75], poses, coverage=0.49, scale=SCALE)
    # Zero, infinity, NaN, and at the lower end what the mask excludes.
    assert clips.depth[..., :24, :].isnan().all()
    assert clips.depth[..., 24:72, :].isfinite().all()
    assert clips.depth[..., 72:, :].isnan().all()
    known = clips.depth.isfinite()
    assert (clips.dynamic[known] == STATIC).all()
    assert (clips.dynamic[~known] == IGNORED).all()
    assert not clips.metric.any()
    np.testing.assert_allclose(clips.seconds[0, 0], [0.25, 0.5, 0.75])


def test_intrinsics_are_exact(written: Path) -> None:
    """Half a pixel shows in no picture."""
    frame = open_co3d(written).recordings[0].read(0, 0)
    np.testing.assert_allclose(frame.intrinsics, INTRINSICS, atol=1e-9)


def test_sequence_without_reconstruction_has_images_alone(copied: Path) -> None:
    rewrite(copied, lambda entry: entry.update(viewpoint=None, depth=None))
    clips = open_co3d(copied).clip(0, WINDOW)
    assert clips.images.float().std() > 10
    for name in ('depth', 'intrinsics', 'world_from_camera'):
        assert getattr(clips, name).isnan().all()
    assert (clips.dynamic == IGNORED).all()


def test_categories_are_chosen(copied: Path) -> None:
    (copied / 'car').mkdir()
    assert [r.name for r in open_co3d(copied, ['apple']).recordings] == ['apple/110_13051_23361']
    with pytest.raises(DataSetError, match=r'car/frame_annotations\.jgz'):
        open_co3d(copied, ['car'])


@pytest.mark.parametrize('content', [b'', b'[]', gzip.compress(b'{}'), gzip.compress(b'[{}]')])
def test_bad_annotations_are_named(copied: Path, content: bytes) -> None:
    path = copied / 'apple/frame_annotations.jgz'
    path.write_bytes(content)
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_co3d(copied)


def test_annotations_cut_short_are_named(copied: Path) -> None:
    path = copied / 'apple/frame_annotations.jgz'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_co3d(copied)


def test_unknown_intrinsics_are_refused(copied: Path) -> None:
    rewrite(copied, lambda entry: entry['viewpoint'].update(intrinsics_format='screen'))
    with pytest.raises(DataSetError, match='screen'):
        open_co3d(copied)


@pytest.mark.parametrize('kind', ['images', 'depths', 'depth_masks'])
@pytest.mark.parametrize('spoil', ['missing', 'cut'])
def test_bad_file_is_named(copied: Path, kind: str, spoil: str) -> None:
    path = sorted((copied / 'apple/110_13051_23361' / kind).iterdir())[-1]
    data = path.read_bytes()
    path.unlink()
    if spoil == 'cut':
        path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_co3d(copied).clip(0, WINDOW)


def test_image_of_another_size_is_named(copied: Path) -> None:
    rewrite(copied, lambda entry: entry['image'].update(size=[480, 320]))
    with pytest.raises(DataSetError, match='frame000001'):
        open_co3d(copied).clip(0, WINDOW)

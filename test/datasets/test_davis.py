"""DAVIS, on videos of one colour with masks in the layouts of both years."""

from __future__ import annotations

from pathlib import Path
import re

import cv2
from fourd_perception.datasets.dataset import ClipSpec
from fourd_perception.datasets.davis import open_davis
from fourd_perception.datasets.files import DataSetError
from fourd_perception.geometry.clips import DYNAMIC, IGNORED
import numpy as np
from PIL import Image
import pytest

SIZE = 48, 96
FRAMES = 3
WINDOW = ClipSpec(size=(32, 64), instants=FRAMES)
# A column of the mask at a time: background, two objects, void.
OBJECTS = np.repeat([0, 1, 2, 255], SIZE[1] // 4).astype(np.uint8)


def write_videos(root: Path, names: list[str], annotations: str = 'Annotations') -> None:
    """Videos that grow red, with the masks of 2017: numbers in a palette."""
    for name in names:
        images, masks = root / 'JPEGImages/480p' / name, root / annotations / '480p' / name
        images.mkdir(parents=True, exist_ok=True)
        masks.mkdir(parents=True)
        for number in range(FRAMES):
            image = np.full((*SIZE, 3), (20, 100, 60 + 40 * number), np.uint8)
            cv2.imwrite(str(images / f'{number:05d}.jpg'), image)
            mask = Image.fromarray(np.tile(OBJECTS, (SIZE[0], 1)), mode='P')
            mask.putpalette([value for entry in range(256) for value in (entry, 128, 0)])
            mask.save(masks / f'{number:05d}.png')


def write_list(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_videos(tmp_path, ['bear', 'dog', 'judo'])
    write_list(tmp_path / 'ImageSets/2017/train.txt', ['bear'])
    write_list(tmp_path / 'ImageSets/2017/val.txt', ['dog', 'judo'])
    write_list(tmp_path / 'ImageSets/2016/val.txt', ['dog'])
    return tmp_path


def test_annotated_objects_are_dynamic_and_nothing_else_is_known(root: Path) -> None:
    clips = open_davis(root).clip(0, WINDOW)
    instances = np.repeat([0, 1, 2, -1], WINDOW.size[1] // 4)
    labels = np.repeat([IGNORED, DYNAMIC, DYNAMIC, IGNORED], WINDOW.size[1] // 4)
    assert (clips.instances.numpy() == instances).all()
    assert (clips.dynamic.numpy() == labels).all()
    for name in ('depth', 'intrinsics', 'world_from_camera', 'flow_forward', 'flow_backward'):
        assert getattr(clips, name).isnan().all(), name
    assert not clips.metric.any()


def test_images_are_red_green_blue_in_order_of_time(root: Path) -> None:
    clips = open_davis(root).clip(0, WINDOW)
    means = clips.images[0, 0].float().mean(dim=(-1, -2))
    np.testing.assert_allclose(means, [[60, 100, 20], [100, 100, 20], [140, 100, 20]], atol=2)
    np.testing.assert_allclose(clips.seconds[0, 0], np.arange(FRAMES) / 24)


def test_splits_of_both_years(root: Path) -> None:
    def names(**choice: object) -> list[str]:
        return [r.name for r in open_davis(root, **choice).recordings]

    assert names() == ['bear']
    assert names(split='val') == ['dog', 'judo']
    assert names(year=2016, split='val') == ['dog']
    with pytest.raises(ValueError, match='2019'):
        names(year=2019)
    with pytest.raises(DataSetError, match=r'2016/train\.txt'):
        names(year=2016)


def test_release_of_2016(tmp_path: Path) -> None:
    """Lists every image, and masks are black and white, some in colour files."""
    write_videos(tmp_path, ['bear'])
    rows = [
        f'/JPEGImages/480p/bear/{n:05d}.jpg /Annotations/480p/bear/{n:05d}.png'
        for n in range(FRAMES)
    ]
    write_list(tmp_path / 'ImageSets/480p/train.txt', rows)
    white = np.tile(np.where(OBJECTS == 255, 255, 0).astype(np.uint8), (SIZE[0], 1))
    for number, mode in enumerate(('L', 'RGB', '1')):
        mask = Image.fromarray(white).convert(mode)
        mask.save(tmp_path / f'Annotations/480p/bear/{number:05d}.png')
    data = open_davis(tmp_path, year=2016)
    assert [(r.name, r.instants) for r in data.recordings] == [('bear', FRAMES)]
    clips = data.clip(0, WINDOW)
    assert (clips.instances.numpy() == np.repeat([0, 1], [48, 16])).all()
    assert (clips.dynamic.numpy() == np.repeat([IGNORED, DYNAMIC], [48, 16])).all()


def test_test_videos_have_a_mask_for_their_first_image(root: Path) -> None:
    for path in sorted((root / 'Annotations/480p/bear').iterdir())[1:]:
        path.unlink()
    clips = open_davis(root).clip(0, WINDOW)
    assert (clips.instances[0, 0, 0] > 0).any()
    assert (clips.instances[0, 0, 1:] == -1).all()
    assert (clips.dynamic[0, 0, 1:] == IGNORED).all()


def test_unsupervised_annotations(root: Path) -> None:
    write_videos(root, ['bear'], 'Annotations_unsupervised')
    (root / 'Annotations/480p/bear').rename(root / 'gone')
    data = open_davis(root, annotations='Annotations_unsupervised')
    assert (data.clip(0, WINDOW).instances > 0).any()


@pytest.mark.parametrize(
    'name', ['JPEGImages/480p/bear/00001.jpg', 'Annotations/480p/bear/00001.png']
)
@pytest.mark.parametrize('spoil', ['cut', 'empty'])
def test_bad_file_is_named(root: Path, name: str, spoil: str) -> None:
    path = root / name
    path.write_bytes(path.read_bytes()[:100] if spoil == 'cut' else b'')
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_davis(root).clip(0, WINDOW)


def test_mask_of_another_size_is_named(root: Path) -> None:
    path = root / 'Annotations/480p/bear/00000.png'
    Image.new('P', (10, 10)).save(path)
    with pytest.raises(DataSetError, match=re.escape(str(path))):
        open_davis(root).clip(0, WINDOW)


@pytest.mark.parametrize('name', ['JPEGImages/480p/bear', 'Annotations/480p/bear', 'Annotations'])
def test_absent_folder_is_named(root: Path, name: str) -> None:
    (root / name).rename(root / 'gone')
    with pytest.raises(DataSetError, match=re.escape(str(root / name))):
        open_davis(root)

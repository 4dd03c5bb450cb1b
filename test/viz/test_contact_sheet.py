"""The contact sheet shows every cell that has data, says which have none, and warns."""

from __future__ import annotations

from dataclasses import fields, replace

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.viz.colour import DYNAMIC_RGB
from fourd_perception.viz.contact_sheet import CameraRow, contact_sheet
from fourd_perception.viz.plan import CloudView, plan_axes, Trajectory, Viewpoint
import numpy as np
import pytest

BAND_RGB = (0xB3, 0x26, 0x1E)
NO_DATA_RGB = (0xE6, 0xE8, 0xEB)
OUTPUTS = tuple(f.name for f in fields(CameraRow) if f.name != 'name')


def make_row(name: str = 'front', height: int = 24, width: int = 32) -> CameraRow:
    generator = np.random.default_rng(len(name))
    label = np.zeros((height, width), np.uint8)
    label[:10, :10] = 1
    return CameraRow(
        name,
        image=generator.integers(0, 255, (height, width, 3), dtype=np.uint8),
        depth=generator.uniform(1.0, 5.0, (height, width)),
        confidence=generator.uniform(0.0, 1.0, (height, width)),
        label=label,
        flow=generator.normal(size=(height, width, 2)),
    )


def make_cloud(count: int = 500) -> CloudView:
    generator = np.random.default_rng(0)
    xyz = generator.uniform((-3, -3, 0), (3, 3, 1), (count, 3))
    xyz[:5] = np.nan
    camera = CameraModel('front', 32, 24, np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]]))
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    uncalibrated = replace(camera, name='rear', intrinsics=None)
    rgb = np.tile(np.uint8([0, 200, 0]), (count, 1))
    return CloudView(xyz, rgb, (Viewpoint(camera, pose), Viewpoint(uncalibrated, pose)))


def share(sheet: np.ndarray, rgb: tuple[int, int, int]) -> float:
    """Share of pixels of exactly this colour."""
    return float((sheet == np.array(rgb)).all(axis=-1).mean())


@pytest.fixture(scope='module')
def full_sheet() -> np.ndarray:
    trajectory = Trajectory(np.array([[0.0, 0, 0], [1, 0.5, 0], [2, 0, 0]]))
    return contact_sheet([make_row()], make_cloud(), trajectory, 'A replay')


def test_a_sheet_with_everything_has_no_empty_cell(full_sheet):
    assert full_sheet.dtype == np.uint8 and full_sheet.shape[2] == 3
    assert full_sheet.shape[1] > 1500
    assert share(full_sheet, NO_DATA_RGB) == 0.0
    assert share(full_sheet, BAND_RGB) == 0.0
    assert share(full_sheet, DYNAMIC_RGB) > 0.0
    assert share(full_sheet, (0, 200, 0)) > 0.001


@pytest.mark.parametrize('output', OUTPUTS)
def test_a_missing_output_leaves_one_cell_without_data(full_sheet, output):
    row = replace(make_row(), **{output: None})
    trajectory = Trajectory(np.array([[0.0, 0, 0], [1, 0.5, 0], [2, 0, 0]]))
    sheet = contact_sheet([row], make_cloud(), trajectory, 'A replay')
    assert sheet.shape == full_sheet.shape
    column = (sheet == NO_DATA_RGB).all(axis=-1).any(axis=0).nonzero()[0]
    cell = sheet.shape[1] / len(OUTPUTS)
    assert 0.7 * cell < column[-1] - column[0] < cell
    assert column.mean() // cell == OUTPUTS.index(output)


def test_the_notice_is_a_red_band():
    sheet = contact_sheet([make_row()], None, None, 'A replay', 'UNTRAINED WEIGHTS')
    assert share(sheet[:200], BAND_RGB) > 0.1
    inside = (sheet[:200] == BAND_RGB).all(axis=-1).any(axis=1)
    assert (sheet[:200][inside] == 255).all(axis=-1).any()


def test_nothing_known_at_all_still_makes_a_sheet():
    sheet = contact_sheet([CameraRow('front')], None, None, 'A replay')
    assert share(sheet, NO_DATA_RGB) > 0.4


def test_arrays_without_any_known_pixel_are_drawn():
    row = make_row()
    row = replace(row, depth=np.full_like(row.depth, np.nan), flow=np.full_like(row.flow, np.nan))
    cloud = replace(make_cloud(), xyz=np.full((500, 3), np.nan))
    sheet = contact_sheet([row], cloud, Trajectory(np.full((4, 3), np.nan)), 'A replay')
    assert share(sheet, NO_DATA_RGB) > 0.3


def test_eight_cameras_of_different_sizes_portrait_among_them_have_their_rows():
    landscape, portrait = make_row('a', 24, 32), make_row('lab/b', 32, 24)
    flat = contact_sheet([landscape] * 8, None, None, 'A replay')
    mixed = contact_sheet([landscape, portrait] * 4, None, None, 'A replay')
    assert mixed.shape[1] == flat.shape[1]
    assert mixed.shape[0] > flat.shape[0] + 4 * 50


def test_labels_of_the_input_size_lie_on_an_image_of_another_size():
    label = np.zeros((48, 64), np.uint8)
    label[10:30, 10:30] = 1
    sheet = contact_sheet([replace(make_row(), label=label)], None, None, 'A replay')
    assert share(sheet, DYNAMIC_RGB) > 0.0


def test_a_sheet_without_cameras_is_refused():
    with pytest.raises(ValueError, match='at least one row'):
        contact_sheet([], None, None, 'A replay')


def test_a_map_has_ahead_at_its_top():
    assert [float(x) for x in plan_axes(np.array([1.0, 2.0, 3.0]), z_up=True)] == [-2.0, 1.0, 3.0]
    assert [float(x) for x in plan_axes(np.array([1.0, 2.0, 3.0]), z_up=False)] == [1.0, 3.0, -2.0]


def test_a_ceiling_is_cut_away_so_that_the_floor_is_seen():
    cloud = make_cloud(4000)
    xyz, rgb = cloud.xyz.copy(), cloud.rgb.copy()
    xyz[:, 2] = np.where(np.arange(4000) % 2, -1.0, 1.0)
    rgb[xyz[:, 2] > 0] = (200, 0, 200)
    sheet = contact_sheet([make_row()], CloudView(xyz, rgb, cloud.viewpoints), None, 'A replay')
    assert share(sheet, (200, 0, 200)) == 0.0
    assert share(sheet, (0, 200, 0)) > 0.001
    unseen = contact_sheet([make_row()], CloudView(xyz, rgb), None, 'A replay')
    assert share(unseen, (200, 0, 200)) > 0.001


def test_the_truth_of_a_trajectory_is_drawn_beside_it():
    path = np.array([[0.0, 0, 0], [1, 0.5, 0], [2, 0, 0]])
    truth = path + [0.0, 0.3, 0.0]
    truth_rgb = (0x9D, 0xB4, 0xD0)
    alone = contact_sheet([make_row()], None, Trajectory(path), 'A replay')
    both = contact_sheet([make_row()], None, Trajectory(path, truth), 'A replay')
    assert share(alone, truth_rgb) == 0.0 < share(both, truth_rgb)

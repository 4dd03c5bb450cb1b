"""Clouds: aligned with depth, and fused over the rig on one voxel grid."""

from fourd_perception.engine.clouds import camera_cloud, fused_clouds, voxel_picks
from fourd_perception.engine.scene_update import CameraUpdate, Label, Output, Scale, SceneUpdate
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import invert, nearest_rotation, transform
from fourd_perception.grid.frame import Frame, TimeSlice
from hypothesis import given, strategies as st
import numpy as np
import pytest

KINDS = frozenset({Output.POINTS, Output.POINTS_STATIC, Output.POINTS_DYNAMIC})
VOXEL = 0.3


def random_pose(rng):
    return transform(nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3))


def camera(name, rng, labelled=True):
    intrinsics = np.array([[30.0, 0, 16], [0, 32.0, 11], [0, 0, 1]])
    model = CameraModel(name, 32, 24, intrinsics, base_from_camera=random_pose(rng))
    depth = rng.uniform(1, 4, (24, 32)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    label = rng.integers(0, 3, depth.shape).astype(np.uint8) if labelled else None
    colour = rng.integers(0, 256, (24, 32, 3)).astype(np.uint8)
    pose = random_pose(rng)
    return CameraUpdate(Frame(name, 5, None), model, model, pose, colour, depth, label=label)


def update(seed=0, labelled=True):
    rng = np.random.default_rng(seed)
    cameras = {name: camera(name, rng, labelled) for name in ('left', 'right')}
    frames = tuple(each.frame for each in cameras.values())
    return SceneUpdate(
        slice=TimeSlice(tuple(cameras), frames, 'left'),
        cameras=cameras,
        scale=Scale(1.0, 'rig', 0.0),
        world_from_base=random_pose(rng),
        covariance=np.zeros((6, 6)),
        rig_known=True,
        window_fill=4,
    )


def points_one_by_one(scene, frame_from_world):
    """(xyz, rgb, label) of every valid pixel, by the plain formula."""
    for each in scene.cameras.values():
        k = each.output.intrinsics
        for row, column in np.argwhere(np.isfinite(each.depth)):
            ray = np.array([(column - k[0, 2]) / k[0, 0], (row - k[1, 2]) / k[1, 1], 1.0])
            point = (
                frame_from_world @ each.world_from_camera @ [*(ray * each.depth[row, column]), 1]
            )
            label = Label.UNKNOWN if each.label is None else each.label[row, column]
            yield point[:3], tuple(each.colour[row, column].tolist()), int(label)


def test_an_organised_cloud_is_aligned_with_depth():
    left = update().cameras['left']
    cloud = camera_cloud(left)
    assert cloud.xyz.shape == (24, 32, 3) and cloud.xyz.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(cloud.xyz).all(axis=2), np.isnan(left.depth))
    row, column = 7, 20
    expected = left.depth[row, column] * (
        np.linalg.inv(left.output.intrinsics) @ [column, row, 1.0]
    )
    np.testing.assert_allclose(cloud.xyz[row, column], expected, rtol=1e-6)
    np.testing.assert_array_equal(cloud.rgb, left.colour)


@pytest.mark.parametrize('frame', ['base', 'world'])
def test_fused_clouds_equal_a_dictionary_of_voxels(frame):
    scene = update()
    into = np.eye(4) if frame == 'world' else invert(scene.world_from_base)
    voxels, by_label = {}, {}
    for point, rgb, label in points_one_by_one(scene, into):
        key = tuple(np.floor(point / VOXEL).astype(int))
        if label < voxels.get(key, (None, None, 3))[2]:
            voxels[key] = (point, rgb, label)
        by_label.setdefault((key, label), (point, rgb))
    expected = {
        Output.POINTS: [(p, c) for p, c, _ in voxels.values()],
        Output.POINTS_STATIC: [v for (_, label), v in by_label.items() if label == Label.STATIC],
        Output.POINTS_DYNAMIC: [v for (_, label), v in by_label.items() if label == Label.DYNAMIC],
    }
    clouds = fused_clouds(scene, frame, VOXEL, KINDS)
    assert set(clouds) == KINDS
    for kind, rows in expected.items():
        found = np.hstack([clouds[kind].xyz, clouds[kind].rgb])
        plain = np.array([[*p, *c] for p, c in rows])
        assert len(plain) > 50
        np.testing.assert_allclose(
            found[np.lexsort(found.round(3).T)], plain[np.lexsort(plain.round(3).T)], atol=1e-5
        )


def test_only_the_kinds_that_are_asked_for_come():
    assert set(fused_clouds(update(), 'world', VOXEL, frozenset({Output.POINTS_STATIC}))) == {
        Output.POINTS_STATIC
    }


def test_without_labels_nothing_is_static_and_nothing_dynamic():
    clouds = fused_clouds(update(labelled=False), 'world', VOXEL, KINDS)
    assert len(clouds[Output.POINTS].xyz) > 100
    assert clouds[Output.POINTS_STATIC].xyz.shape == (0, 3)
    assert clouds[Output.POINTS_DYNAMIC].rgb.shape == (0, 3)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 2))
def test_each_voxel_has_one_point_and_each_point_is_one_that_was_given(seed, voxel):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(scale=2, size=(200, 3)).astype(np.float32)
    label = rng.integers(0, 3, 200).astype(np.uint8)
    of_voxel, of_label = voxel_picks(xyz, label, voxel)
    cells = np.floor(xyz / np.float32(voxel))
    assert len(of_voxel) == len(np.unique(cells, axis=0))
    assert len(np.unique(cells[of_voxel], axis=0)) == len(of_voxel)
    keyed = np.column_stack([cells, label])
    assert len(of_label) == len(np.unique(keyed, axis=0))
    assert len(np.unique(keyed[of_label], axis=0)) == len(of_label)


def test_points_beyond_the_grid_and_infinite_ones_are_left_out():
    xyz = np.array([[0, 0, 0], [1e9, 0, 0], [np.inf, 0, 0], [-1e9, 1, 1]], np.float32)
    of_voxel, _ = voxel_picks(xyz, np.zeros(4, np.uint8), 0.1)
    assert of_voxel.tolist() == [0]


def test_what_cannot_be_fused_is_said():
    scene = update()
    with pytest.raises(ValueError, match='voxel size 0'):
        fused_clouds(scene, 'base', 0.0, KINDS)
    with pytest.raises(ValueError, match="'map': give base or world"):
        fused_clouds(scene, 'map', VOXEL, KINDS)

"""Pixels with depth to points and back."""

from fourd_perception.geometry.poses import transform
from fourd_perception.geometry.projection import project, transform_points, unproject
import numpy as np

INTRINSICS = np.array([[80.0, 0, 31.2], [0, 90.0, 20.7], [0, 0, 1]])


def test_unprojecting_and_projecting_lead_back_to_the_pixel():
    depth = np.random.default_rng(0).uniform(0.5, 20, (40, 60)).astype(np.float32)
    points = unproject(depth, INTRINSICS)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[..., 2], depth)
    rows, columns = np.mgrid[:40, :60]
    pixels = project(points, INTRINSICS)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], -1), atol=1e-4)


def test_unprojection_equals_the_plain_formula():
    depth = np.array([[2.0, np.nan], [4.0, 8.0]], np.float32)
    points = unproject(depth, INTRINSICS)
    for row in range(2):
        for column in range(2):
            ray = np.linalg.inv(INTRINSICS) @ [column, row, 1.0]
            np.testing.assert_allclose(points[row, column], ray * depth[row, column], rtol=1e-6)
    assert np.isnan(points[0, 1]).all()


def test_points_behind_the_camera_have_no_pixel():
    pixels = project(np.array([[1.0, 1.0, -2.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), INTRINSICS)
    assert np.isnan(pixels[:2]).all()
    np.testing.assert_array_equal(pixels[2], INTRINSICS[:2, 2])


def test_points_move_with_the_frame():
    quarter = transform(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([10, 20, 30]))
    points = np.array([[[1, 2, 3]]], np.float32)
    moved = transform_points(quarter, points)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved, [[[8, 21, 33]]])

"""Shapes: rays meet surfaces where the surfaces are, distances are distances."""

from fourd_perception.synthetic.shapes import SHAPES
import numpy as np
import pytest

HALF = {
    'box': np.array([0.5, 0.8, 0.3]),
    'ellipsoid': np.array([0.5, 0.8, 0.3]),
    'cylinder': np.array([0.5, 0.5, 0.7]),
}


@pytest.fixture(params=sorted(SHAPES))
def named(request):
    return SHAPES[request.param], HALF[request.param]


def surface_points(shape, half, count=200_000):
    """Dense points on the surface: where rays from the centre leave the shape."""
    directions = np.random.default_rng(0).standard_normal((3, count))
    with np.errstate(divide='ignore', invalid='ignore'):
        _, far = shape.interval(np.zeros(3), directions, half)
    return directions * far


def test_a_ray_enters_and_leaves_exactly_on_the_surface(named):
    shape, half = named
    rng = np.random.default_rng(1)
    origin = np.array([2.0, -1.5, 1.0])
    directions = rng.uniform(-0.8, 0.8, (3, 4000)) - origin[:, None]
    with np.errstate(divide='ignore', invalid='ignore'):
        near, far = shape.interval(origin, directions, half)
    hit = near <= far
    assert 0.1 < hit.mean() < 0.9
    for length in (near, far):
        points = origin[:, None] + directions[:, hit] * length[hit]
        assert np.abs(shape.distance(points, half)).max() < 1e-7
    middle = origin[:, None] + directions[:, hit] * (near + far)[hit] / 2
    assert shape.distance(middle, half).max() <= 1e-9
    # A missed ray stays outside all along.
    for length in np.linspace(0, 2, 200):
        points = origin[:, None] + directions[:, ~hit] * length
        assert shape.distance(points, half).min() > -1e-9


def test_distance_is_that_to_the_nearest_of_dense_surface_points(named):
    shape, half = named
    surface = surface_points(shape, half)
    points = np.random.default_rng(2).uniform(-1.2, 1.2, (3, 60))
    slow = [np.linalg.norm(surface - point[:, None], axis=0).min() for point in points.T]
    distance = shape.distance(points, half)
    assert np.abs(np.abs(distance) - slow).max() < 0.01
    with np.errstate(divide='ignore', invalid='ignore'):
        near, far = shape.interval(np.zeros(3), points, half)
    assert np.array_equal(distance < 0, far > 1.0)


def test_normals_point_straight_away_from_the_surface(named):
    shape, half = named
    points = surface_points(shape, half, 2000)
    normal, _ = shape.skin(points, half)
    away = shape.distance(points + 1e-4 * normal, half)
    assert np.abs(away - 1e-4).max() < 1e-7


def test_texture_coordinates_are_metres_on_the_surface(named):
    """Walking 1 mm on the surface walks about 1 mm on the texture (seams and poles apart)."""
    shape, half = named
    points = surface_points(shape, half, 20_000)
    normal, uv = shape.skin(points, half)
    step = np.cross(normal, np.random.default_rng(3).standard_normal((3, 20_000)), axis=0)
    step *= 1e-3 / np.linalg.norm(step, axis=0)
    _, moved = shape.skin(points + step, half)
    walked = np.linalg.norm(moved - uv, axis=0)
    assert 0.5e-3 < np.median(walked) < 2e-3

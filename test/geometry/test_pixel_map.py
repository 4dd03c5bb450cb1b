"""Resizing, cropping and padding move pixels and intrinsics alike."""

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.geometry.projection import project
from hypothesis import given, strategies as st
import numpy as np

sizes = st.tuples(st.integers(8, 4000), st.integers(8, 4000))
resizes = st.builds(PixelMap.resize, sizes, sizes)
crops = st.builds(
    lambda x, y: PixelMap(1.0, 1.0, x, y), st.integers(-500, 500), st.integers(-500, 500)
)
maps = st.lists(st.one_of(resizes, crops), min_size=1, max_size=4)
points = st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(0.5, 50))
focals = st.tuples(st.floats(50, 3000), st.floats(50, 3000))


def intrinsics_of(focal, size):
    return np.array([[focal[0], 0, size[0] / 3], [0, focal[1], size[1] / 2], [0, 0, 1]])


def chain(steps):
    out = PixelMap()
    for step in steps:
        out = out.then(step)
    return out


@given(maps, points, focals, sizes)
def test_projecting_with_mapped_intrinsics_equals_mapping_the_pixel(steps, point, focal, size):
    intrinsics = intrinsics_of(focal, size)
    pixel_map = chain(steps)
    pixel = project(np.array(point), intrinsics)
    mapped = project(np.array(point), pixel_map.intrinsics(intrinsics))
    np.testing.assert_allclose(mapped, pixel_map.apply(pixel), rtol=1e-9, atol=1e-6)


@given(maps, st.tuples(st.floats(-1e3, 5e3), st.floats(-1e3, 5e3)))
def test_a_chain_of_maps_is_one_after_the_other(steps, pixel):
    one_by_one = np.array(pixel)
    for step in steps:
        one_by_one = step.apply(one_by_one)
    np.testing.assert_allclose(chain(steps).apply(pixel), one_by_one, rtol=1e-9, atol=1e-6)


@given(maps, st.tuples(st.floats(0, 4e3), st.floats(0, 4e3)))
def test_the_inverse_leads_back(steps, pixel):
    pixel_map = chain(steps)
    back = pixel_map.inverse().apply(pixel_map.apply(pixel))
    np.testing.assert_allclose(back, pixel, rtol=1e-6, atol=1e-6)


@given(sizes, sizes)
def test_a_resize_keeps_the_corners_of_the_image(size_in, size_out):
    resize = PixelMap.resize(size_in, size_out)
    np.testing.assert_allclose(resize.apply([-0.5, -0.5]), [-0.5, -0.5], atol=1e-9)
    far = np.array(size_out) - 0.5
    np.testing.assert_allclose(resize.apply(np.array(size_in) - 0.5), far, rtol=1e-12)


def test_halving_an_image_puts_a_pixel_centre_between_four():
    half = PixelMap.resize((640, 480), (320, 240))
    np.testing.assert_allclose(half.apply([[0.5, 0.5], [2.5, 4.5]]), [[0, 0], [1, 2]])


@given(sizes, sizes, focals)
def test_a_resized_camera_sees_the_same_field(size_in, size_out, focal):
    camera = CameraModel('c', *size_in, intrinsics_of(focal, size_in))
    resized = camera.resized(*size_out)
    assert (resized.width, resized.height) == size_out
    for model in (camera, resized):
        edge = [(-0.5 - model.intrinsics[i, 2]) / model.intrinsics[i, i] for i in (0, 1)]
        np.testing.assert_allclose(
            edge, -np.array([size_in[0] / 3 + 0.5, size_in[1] / 2 + 0.5]) / focal, rtol=1e-9
        )

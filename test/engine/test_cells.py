"""Images at network size: each made once, averaged over areas, pixel centres where they belong."""

from fourd_perception.engine.cells import CellStore, resize_image
from fourd_perception.engine.network_size import lay_out
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.visual_grid import VisualGrid
import numpy as np
import pytest
import torch

K = np.array([[100.0, 0, 50], [0, 100.0, 40], [0, 0, 1]])


def area_average(image, size):
    """Each new pixel is the mean over the area that it covers: the plain integral."""

    def weights(n_in, n_out):
        out = np.zeros((n_out, n_in))
        for i in range(n_out):
            low, high = i * n_in / n_out, (i + 1) * n_in / n_out
            for j in range(n_in):
                out[i, j] = max(0.0, min(high, j + 1) - max(low, j)) / (high - low)
        return out

    rows, columns = weights(image.shape[0], size[1]), weights(image.shape[1], size[0])
    return np.einsum('ij,jkc,lk->ilc', rows, image.astype(float), columns)


@pytest.mark.parametrize('size', [(20, 15), (23, 11), (40, 30), (37, 30)])
def test_shrinking_averages_over_the_area_of_each_new_pixel(size):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    resized = resize_image(image, size)
    assert resized.shape == (size[1], size[0], 3)
    np.testing.assert_allclose(resized, area_average(image, size), atol=0.51)


@pytest.mark.parametrize('size', [(64, 30), (128, 60), (256, 120), (100, 50), (320, 160)])
def test_a_ramp_stays_a_ramp_over_the_pixel_map(size):
    """Half a pixel of shift, the usual mistake, would be one or two grey values."""
    ramp = np.empty((60, 128, 3), np.uint8)
    ramp[:] = 2 * np.arange(128)[None, :, None]
    resized = resize_image(ramp, size)
    back = PixelMap.resize((128, 60), size).inverse()
    columns = back.apply(np.stack([np.arange(size[0]), np.zeros(size[0])], -1))[:, 0]
    inner = (columns > 1) & (columns < 126)
    np.testing.assert_allclose(resized[5, inner, 0], 2 * columns[inner], atol=0.75)


def grid_of(frames):
    """A grid of cameras a and b, two slices; b has no frame in the older one."""
    older = TimeSlice(('a', 'b'), (frames[0], None), 'a')
    newer = TimeSlice(('a', 'b'), (frames[1], frames[2]), 'a')
    return VisualGrid((older, newer))


def test_the_tensors_of_a_grid():
    rng = np.random.default_rng(1)
    frames = [Frame('a', 10, 0), Frame('a', 20, 1), Frame('b', 21, 2)]
    images = [
        rng.integers(0, 256, (120, 160, 3)).astype(np.uint8),
        rng.integers(0, 256, (120, 160, 3)).astype(np.uint8),
        rng.integers(0, 256, (90, 60, 3)).astype(np.uint8),
    ]
    store = CellStore((112, 84), 'cpu')
    for frame, image in zip(frames, images):
        store.add(frame, image)
    cameras = {'a': CameraModel('a', 160, 120, K), 'b': CameraModel('b', 60, 90, None)}
    tensors = store.tensors(grid_of(frames), cameras)

    assert tensors.images.shape == (2, 2, 3, 84, 112)
    assert tensors.images.dtype == torch.float32
    np.testing.assert_array_equal(tensors.present, [[True, True], [False, True]])
    np.testing.assert_array_equal(tensors.stamps, [[10, 20], [-1, 21]])
    assert tensors.reference == (0, 0)
    assert not tensors.images[1, 0].any()

    plain = resize_image(images[1], (112, 84)) / 255
    np.testing.assert_allclose(tensors.images[0, 1].permute(1, 2, 0), plain, atol=1e-6)

    layout = lay_out((60, 90), (112, 84))  # portrait: two bands of padding
    inside = np.zeros((84, 112), bool)
    inside[layout.rows, layout.columns] = True
    np.testing.assert_array_equal(tensors.valid[1], inside)
    assert tensors.valid[0].all()
    assert not tensors.images[1, 1][:, ~inside].any()
    shown = tensors.images[1, 1].permute(1, 2, 0)[layout.rows, layout.columns]
    plain = resize_image(images[2], (layout.width, layout.height)) / 255
    np.testing.assert_allclose(shown, plain, atol=1e-6)

    np.testing.assert_allclose(tensors.intrinsics[0], cameras['a'].resized(112, 84).intrinsics)
    assert np.isnan(tensors.intrinsics[1]).all()
    assert tensors.pixel_maps[1] == layout.pixel_map


def test_what_left_the_window_is_forgotten():
    frames = [Frame('a', stamp, None) for stamp in range(3)]
    store = CellStore((28, 28), 'cpu')
    for frame in frames:
        store.add(frame, np.zeros((28, 28, 3), np.uint8))
    store.keep_only(frames[1:])
    assert [frame in store for frame in frames] == [False, True, True]

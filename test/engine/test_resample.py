"""Other sizes than the network's: planes exactly, steps never bridged, labels never mixed."""

from fourd_perception.engine.resample import resampler, same_label_blocks, smooth_blocks
from fourd_perception.engine.scene_update import Label
from fourd_perception.geometry.pixel_map import PixelMap
from hypothesis import given, settings, strategies as st
import numpy as np
import torch

SOURCE = (24, 18)
targets = st.sampled_from([(24, 18), (48, 36), (40, 30), (31, 44), (12, 9), (100, 20)])


def blocks(size_in, size_out):
    """For every target pixel: its place in the source, and the upper left of the 2x2 around."""
    back = PixelMap.resize(size_in, size_out).inverse()
    for row in range(size_out[1]):
        for column in range(size_out[0]):
            x, y = back.apply([column, row])
            left = min(max(int(np.floor(x)), 0), size_in[0] - 2)
            top = min(max(int(np.floor(y)), 0), size_in[1] - 2)
            yield row, column, x - left, y - top, slice(left, left + 2), slice(top, top + 2)


def bilinear(block, x, y):
    above = block[0, 0] * (1 - x) + block[0, 1] * x
    below = block[1, 0] * (1 - x) + block[1, 1] * x
    return above * (1 - y) + below * y


def slow_depth(depth, size_out):
    out = np.full((size_out[1], size_out[0]), np.nan)
    for row, column, x, y, across, down in blocks(depth.shape[::-1], size_out):
        block = depth[down, across].astype(float)
        if block.max() <= 1.05 * block.min():
            out[row, column] = 1 / bilinear(1 / block, x, y)
    return out


def stepped_depth(seed):
    """Gentle slopes with jumps between them and a few holes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SOURCE[1], : SOURCE[0]]
    inverse = 0.3 + 0.002 * rows + 0.003 * columns
    inverse[rng.random(inverse.shape) < 0.02] = np.nan
    inverse[:, rng.integers(3, 20) :] *= rng.uniform(0.5, 2)
    return (1 / inverse).astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 1000), targets)
def test_depth_equals_the_plain_loop_over_pixels(seed, size):
    depth = stepped_depth(seed)
    fast = resampler(SOURCE, size, 'cpu').depth(torch.from_numpy(depth)).numpy()
    np.testing.assert_allclose(fast, slow_depth(depth, size), rtol=1e-5)


@settings(max_examples=50)
@given(targets, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_plane_is_exact_to_the_border(size, tilt_x, tilt_y):
    """The inverse depth of a plane is linear in the pixel, in the outer half pixels as well."""

    def plane(size):
        back = PixelMap.resize(SOURCE, size).inverse()
        pixels = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1)
        x, y = np.moveaxis(back.apply(pixels), -1, 0)
        return 1 / (1 + tilt_x * x / SOURCE[0] + tilt_y * y / SOURCE[1])

    depth = torch.from_numpy(plane(SOURCE).astype(np.float32))
    found = resampler(SOURCE, size, 'cpu').depth(depth)
    np.testing.assert_allclose(found, plane(size), rtol=2e-6)


def test_nothing_lies_between_a_near_and_a_far_surface():
    depth = torch.full((18, 24), 2.0)
    depth[:, 10:] = 6.0
    found = resampler(SOURCE, (96, 72), 'cpu').depth(depth)
    assert set(found[~found.isnan()].unique().tolist()) == {2.0, 6.0}
    columns = found.isnan().any(dim=0).nonzero().flatten().tolist()
    assert columns == [38, 39, 40, 41]  # between the centres of source pixels 9 and 10


def test_a_step_of_four_percent_is_a_slope_and_one_of_six_is_not():
    for ratio, smooth in ((1.04, True), (1.06, False)):
        depth = torch.full((4, 4), 1.0)
        depth[:, 2:] = ratio
        np.testing.assert_array_equal(smooth_blocks(depth)[:, 1], smooth)


@settings(max_examples=30)
@given(st.integers(0, 1000), targets)
def test_labels_are_known_where_all_four_pixels_around_agree(seed, size):
    rng = np.random.default_rng(seed)
    label = np.kron(rng.integers(0, 3, (6, 8)), np.ones((3, 3))).astype(np.uint8)
    fast = resampler(SOURCE, size, 'cpu').label(torch.from_numpy(label))
    assert fast.dtype == torch.uint8
    for row, column, _, _, across, down in blocks(SOURCE, size):
        values = np.unique(label[down, across])
        expected = values[0] if len(values) == 1 else Label.UNKNOWN
        assert fast[row, column] == expected


@settings(max_examples=20)
@given(st.integers(0, 1000), targets)
def test_fields_are_bilinear_within_smooth_blocks_and_nan_elsewhere(seed, size):
    rng = np.random.default_rng(seed)
    depth = torch.from_numpy(stepped_depth(seed))
    label = torch.from_numpy((rng.random((18, 24)) < 0.02).astype(np.uint8))
    smooth = smooth_blocks(depth) & same_label_blocks(label)
    field = rng.normal(size=(2, 18, 24)).astype(np.float32)
    fast = resampler(SOURCE, size, 'cpu').field(torch.from_numpy(field), smooth).numpy()
    for row, column, x, y, across, down in blocks(SOURCE, size):
        whole = smooth[down.start, across.start]
        for i in range(2):
            expected = bilinear(field[i, down, across].astype(float), x, y) if whole else np.nan
            np.testing.assert_allclose(fast[i, row, column], expected, rtol=1e-4, atol=1e-5)

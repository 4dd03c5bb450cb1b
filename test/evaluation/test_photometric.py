"""Photometric errors against loops over pixels, and flow there and back."""

from __future__ import annotations

from fourd_perception.evaluation.photometric import consistent, fetched, photometric_error
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np

SMOOTH = np.add.outer(np.arange(20.0), 3 * np.arange(30.0))[..., None] * [1.0, 0.5, -1.0] + 100


def plain_fetched(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    out = np.full((height, width, channels), np.nan)
    for row in range(height):
        for column in range(width):
            x, y = column + flow[row, column, 0], row + flow[row, column, 1]
            if 0 <= x <= width - 1 and 0 <= y <= height - 1:
                left, top = min(int(x), width - 2), min(int(y), height - 2)
                a, b = x - left, y - top
                out[row, column] = (
                    (1 - a) * (1 - b) * image[top, left]
                    + a * (1 - b) * image[top, left + 1]
                    + (1 - a) * b * image[top + 1, left]
                    + a * b * image[top + 1, left + 1]
                )
    return out


@given(
    arrays(np.float32, (4, 5, 3), elements=st.floats(0, 255, width=32)),
    arrays(float, (4, 5, 2), elements=st.floats(-3, 3)),
)
def test_fetching_equals_a_loop_over_pixels(image, flow):
    np.testing.assert_allclose(fetched(image, flow), plain_fetched(image, flow), atol=2e-3)


def test_the_true_flow_explains_the_image_and_a_wrong_one_by_as_much_as_it_is_off():
    flow = np.full((20, 30, 2), [2.5, -1.25])
    first = fetched(SMOOTH, flow)
    inside = np.isfinite(first).all(axis=-1)
    assert inside.sum() == 27 * 18
    assert photometric_error(first, SMOOTH, flow)[inside].max() < 1e-3
    # One pixel to the right is 3 levels in the first channel, 1.5 and 3 in the others.
    off = photometric_error(first, SMOOTH, flow - [1.0, 0.0])[inside]
    np.testing.assert_allclose(off, 2.5, atol=1e-3)


def test_flow_that_returns_is_consistent_and_flow_that_leaves_or_does_not_return_is_not():
    there = np.full((20, 30, 2), [3.0, 0.0])
    both = consistent(there, -there)
    assert both[:, :27].all() and not both[:, 27:].any()
    elsewhere = -there
    elsewhere[10] = [0.0, 2.0]
    assert not consistent(there, elsewhere)[10].any()
    assert not consistent(np.full_like(there, np.nan), -there).any()

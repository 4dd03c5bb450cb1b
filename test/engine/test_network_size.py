"""One network size for all cameras, and how each image lies in it."""

from fourd_perception.engine.network_size import lay_out, MAX_ANISOTROPY, network_size
from hypothesis import given, strategies as st
import numpy as np
import pytest

sizes = st.tuples(st.integers(64, 4000), st.integers(64, 4000)).filter(
    lambda s: 0.2 < s[0] / s[1] < 5
)
patches = st.sampled_from([8, 14, 16])
budgets = st.integers(10_000, 300_000)


@given(st.lists(sizes, min_size=1, max_size=8), patches, budgets)
def test_sizes_are_multiples_of_the_patch_within_the_budget(images, patch, budget):
    width, height = network_size(images, patch, budget)
    assert width % patch == 0 and height % patch == 0
    assert 0 < width * height <= budget


@given(sizes, patches, st.integers(10_000, 30_000))
def test_no_size_within_the_budget_shows_more_of_the_image(image, patch, budget):
    """Against a plain search over every size."""

    def shown(size):
        layout = lay_out((round(10_000 * image[0] / image[1]), 10_000), size)
        return layout.width * layout.height

    most = budget // patch**2
    best = max(
        shown((w * patch, h * patch)) for w in range(1, most + 1) for h in range(1, most // w + 1)
    )
    assert shown(network_size([image], patch, budget)) == best


@pytest.mark.parametrize(
    'image, patch, budget, expected',
    [
        ((640, 480), 14, 518 * 392, (518, 392)),
        ((320, 240), 14, 37_632, (224, 168)),
        ((1080, 1920), 16, 37_632, (144, 256)),
    ],
)
def test_sizes_a_reader_may_know(image, patch, budget, expected):
    assert network_size([image] * 3, patch, budget) == expected


def test_the_camera_of_median_aspect_decides():
    cameras = [(640, 480), (1000, 400), (240, 320)]
    assert network_size(cameras, 14, 37_632) == network_size([(640, 480)], 14, 37_632)


def test_a_budget_below_one_patch_is_refused():
    with pytest.raises(ValueError, match='100 is less than one patch of 14x14'):
        network_size([(640, 480)], 14, 100)


@given(sizes, st.tuples(st.integers(56, 800), st.integers(56, 800)))
def test_an_image_lies_within_and_keeps_its_aspect_but_for_two_percent(image, network):
    layout = lay_out(image, network)
    assert 0 <= layout.left and layout.left + layout.width <= network[0]
    assert 0 <= layout.top and layout.top + layout.height <= network[1]
    assert layout.width == network[0] or layout.height == network[1]
    scale = layout.width / image[0], layout.height / image[1]
    pixel = 1 / min(layout.width, layout.height)
    assert max(scale) / min(scale) <= 1 + MAX_ANISOTROPY + pixel


@given(sizes, st.tuples(st.integers(56, 800), st.integers(56, 800)))
def test_the_pixel_map_takes_the_corners_of_the_image_to_those_of_its_place(image, network):
    layout = lay_out(image, network)
    first = np.array([layout.left, layout.top]) - 0.5
    last = first + [layout.width, layout.height]
    np.testing.assert_allclose(layout.pixel_map.apply([-0.5, -0.5]), first, atol=1e-9)
    np.testing.assert_allclose(layout.pixel_map.apply(np.array(image) - 0.5), last, atol=1e-9)


def test_a_portrait_image_stands_in_the_middle_of_a_landscape_one():
    layout = lay_out((192, 256), (224, 168))
    assert (layout.left, layout.top, layout.width, layout.height) == (49, 0, 126, 168)


def test_a_distortion_of_two_percent_is_accepted_and_more_is_padded():
    assert lay_out((1088, 1920), (336, 602)).width == 336
    assert lay_out((1000, 1000), (100, 102)).height == 102
    assert lay_out((1000, 1000), (100, 103)).height == 100

"""Colour images: known directions, unknown pixels, and the flow wheel against a plain one."""

from __future__ import annotations

import math
import subprocess
import sys

from fourd_perception.engine.scene_update import Label
from fourd_perception.viz.colour import (
    confidence_to_rgb,
    depth_range,
    depth_to_rgb,
    DYNAMIC_RGB,
    flow_range,
    flow_to_rgb,
    label_overlay,
    UNKNOWN_RGB,
)
import numpy as np
import pytest


def plain_wheel() -> list[tuple[float, float, float]]:
    """List the 55 hues of Baker et al., one after the other, channels 0..255."""
    hues = []
    hues += [(255, 255 * i / 15, 0) for i in range(15)]  # red to yellow
    hues += [(255 - 255 * i / 6, 255, 0) for i in range(6)]  # yellow to green
    hues += [(0, 255, 255 * i / 4) for i in range(4)]  # green to cyan
    hues += [(0, 255 - 255 * i / 11, 255) for i in range(11)]  # cyan to blue
    hues += [(255 * i / 13, 0, 255) for i in range(13)]  # blue to magenta
    hues += [(255, 0, 255 - 255 * i / 6) for i in range(6)]  # magenta to red
    return hues


def plain_flow_colour(u: float, v: float, max_px: float) -> list[float]:
    """One pixel of the wheel, in small steps."""
    if math.isnan(u) or math.isnan(v):
        return [0.0, 0.0, 0.0]
    hues = plain_wheel()
    radius = math.sqrt(u * u + v * v) / max_px
    turn = (math.atan2(-v, -u) / math.pi + 1) / 2
    place = turn * (len(hues) - 1)
    first = int(place)
    second = (first + 1) % len(hues)
    colour = []
    for channel in range(3):
        low, high = hues[first][channel], hues[second][channel]
        full = low + (high - low) * (place - first)
        colour.append(255 - radius * (255 - full) if radius <= 1 else 0.75 * full)
    return colour


def test_flow_equals_the_plain_wheel_at_every_pixel():
    flow = np.random.default_rng(0).normal(scale=4.0, size=(23, 31, 2)).astype(np.float32)
    flow[3:5, 7] = np.nan
    flow[9, 9] = (np.nan, 2.0)
    flow[0, 0] = 0.0
    expected = [[plain_flow_colour(float(u), float(v), 6.0) for u, v in row] for row in flow]
    picture = flow_to_rgb(flow, 6.0)
    assert picture.dtype == np.uint8 and picture.shape == (23, 31, 3)
    assert np.abs(picture - np.array(expected)).max() <= 1.0 + 1e-3


@pytest.mark.parametrize(
    'direction, rgb',
    [
        ((1, 0), (255, 0, 0)),
        ((0, 1), (255, 229, 0)),
        ((-1, 0), (0, 208, 255)),
        ((0, -1), (88, 0, 255)),
        ((0, 0), (255, 255, 255)),
        ((math.nan, 0), (0, 0, 0)),
    ],
)
def test_known_directions_have_known_hues(direction, rgb):
    assert tuple(flow_to_rgb(np.array([[direction]], float), 1.0)[0, 0]) == rgb


def test_half_the_motion_is_half_way_to_white_and_too_much_is_darker():
    half, full, beyond = flow_to_rgb(np.array([[[3.0, 0], [6.0, 0], [9.0, 0]]]), 6.0)[0]
    assert tuple(half) == (255, 127, 127)
    assert tuple(full) == (255, 0, 0)
    assert tuple(beyond) == (191, 0, 0)


def test_the_range_of_flow_ignores_unknown_and_keeps_the_noise_of_standing_white():
    flow = np.full((10, 10, 2), np.nan)
    assert flow_range(flow) == flow_range() == 1.0
    flow[5:] = (3.0, 4.0)
    assert flow_range(flow, np.zeros((2, 2, 2))) == 5.0
    assert flow_to_rgb(np.full((4, 4, 2), 0.01)).min() >= 250
    assert tuple(flow_to_rgb(flow)[9, 9]) == tuple(flow_to_rgb(flow[9:, 9:], 5.0)[0, 0])


@pytest.mark.parametrize('bad', [math.nan, math.inf, 0.0, -1.0])
def test_depth_that_is_none_is_dark_grey(bad):
    picture = depth_to_rgb(np.array([[bad, 2.0]], np.float32), 1.0, 4.0)
    assert tuple(picture[0, 0]) == UNKNOWN_RGB
    assert tuple(picture[0, 1]) != UNKNOWN_RGB


def test_nearer_is_brighter_in_even_steps_of_inverse_depth():
    inverse = np.linspace(1.0, 0.1, 10)
    picture = depth_to_rgb(1.0 / inverse[None], 1.0, 10.0)[0].astype(int)
    brightness = picture @ [299, 587, 114]
    assert (np.diff(brightness) < 0).all()
    outside = depth_to_rgb(np.array([[0.2, 1.0, 10.0, 99.0]]), 1.0, 10.0)[0]
    assert tuple(outside[0]) == tuple(outside[1]) and tuple(outside[2]) == tuple(outside[3])
    half_way = depth_to_rgb(np.array([[1.0 / 0.55]]), 1.0, 10.0)
    assert np.array_equal(half_way, depth_to_rgb(np.array([[1.0 / 0.375]]), 2.0, 4.0))


def test_the_range_of_depth_is_that_of_all_images_without_outliers():
    first, second = np.full((10, 10), 2.0), np.full((10, 10), 8.0)
    first[0, 0], second[0, 0], first[0, 1] = 0.001, 1e6, np.nan
    assert depth_range(first, second) == (2.0, 8.0)
    assert depth_range(np.full((3, 3), np.nan)) == depth_range() == (1.0, 2.0)
    near, far = depth_range(np.full((3, 3), 5.0))
    assert near == 5.0 < far


@pytest.mark.parametrize('near, far', [(2.0, 2.0), (3.0, 2.0), (-1.0, 2.0)])
def test_a_range_of_depth_that_is_empty_is_refused(near, far):
    with pytest.raises(ValueError, match='give 0 < near < far'):
        depth_to_rgb(np.ones((2, 2)), near, far)


def test_no_confidence_is_unknown_and_more_is_brighter():
    picture = confidence_to_rgb(np.array([[0.0, np.nan, 0.01, 0.5, 1.0]]))[0].astype(int)
    assert tuple(picture[0]) == tuple(picture[1]) == UNKNOWN_RGB
    assert (np.diff(picture[2:] @ [299, 587, 114]) > 0).all()


def test_labels_tint_what_moves_hatch_what_is_unknown_and_leave_the_rest():
    rgb = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    before = rgb.copy()
    label = np.full((40, 60), Label.STATIC, np.uint8)
    label[10:30, 10:30] = Label.DYNAMIC
    label[:, 40:] = Label.UNKNOWN
    picture = label_overlay(rgb, label)
    assert picture.dtype == np.uint8 and np.array_equal(rgb, before)
    assert np.array_equal(picture[label == Label.STATIC], rgb[label == Label.STATIC])
    inside = picture[12:28, 12:28].astype(float)
    assert inside[..., 0].mean() > inside[..., 2].mean() + 80
    assert not np.array_equal(picture[20, 20], picture[20, 21])  # the image shows through
    assert tuple(picture[10, 20]) == tuple(picture[20, 29]) == DYNAMIC_RGB
    unknown = picture[:, 40:].astype(int)
    assert np.abs(unknown[..., 0] - unknown[..., 2]).max() < 10
    assert unknown.std() > 15


def test_labels_of_another_size_are_refused():
    with pytest.raises(ValueError, match='labels of 4x3 pixels .* image of 8x6'):
        label_overlay(np.zeros((6, 8, 3), np.uint8), np.zeros((3, 4), np.uint8))


def test_the_colours_of_the_node_cost_no_matplotlib():
    code = 'import sys, fourd_perception.viz.colour; sys.exit("matplotlib" in sys.modules)'
    subprocess.run([sys.executable, '-c', code], check=True)

"""Where outputs can be held against the truth."""

from fourd_perception.evaluation.comparable import certain_labels, LeftOut, near_edges
from fourd_perception.geometry.clips import DYNAMIC, IGNORED, STATIC
import numpy as np


def plane(shape: tuple[int, int], slope: float) -> np.ndarray:
    """Depth of a slanted plane: inverse depth is affine in the pixel."""
    return 1.0 / (0.4 + slope * np.arange(shape[1])[None] + np.zeros((shape[0], 1)))


def test_one_plane_has_no_edges_however_slanted():
    assert not near_edges(plane((8, 40), 0.01), 2).any()


def test_steps_and_creases_are_edges_and_so_are_their_surroundings():
    step = np.hstack([np.full((8, 10), 2.0), np.full((8, 10), 3.0)])
    assert np.flatnonzero(near_edges(step, 2)[4]).tolist() == [7, 8, 9, 10, 11, 12]
    crease = np.hstack([plane((8, 10), 0.01), plane((8, 10), 0.01)[:, ::-1]])
    assert near_edges(crease, 2)[4, 9:11].all()
    assert not near_edges(crease, 2)[4, :6].any()


def test_the_sky_is_an_edge():
    depth = np.full((8, 20), 2.0)
    depth[:, 12:] = np.nan
    assert near_edges(depth, 2)[4, 10:].all()
    assert not near_edges(depth, 2)[4, :9].any()


def test_a_pixel_that_is_left_out_counts_under_the_first_reason():
    left_out, first, second = LeftOut(), np.zeros((4, 10), bool), np.zeros((4, 10), bool)
    first[:, :2], second[:, 1:5] = True, True
    pixels = np.ones((4, 10), bool)
    pixels[2:] = False
    found = left_out.compared('depth', pixels, {'sky': first, 'edges': second, 'dust': ~pixels})
    np.testing.assert_array_equal(found, pixels & ~first & ~second)
    assert left_out.compared('flow', pixels, {'sky': ~pixels}).sum() == 20
    left_out.compared('depth', pixels, {'sky': ~pixels})
    assert str(left_out) == 'depth 25 % (sky 10 %, edges 15 %), flow 0 %'


def test_without_a_margin_every_pixel_counts():
    step = np.hstack([np.full((8, 10), 2.0), np.full((8, 10), 3.0)])
    assert not near_edges(step, 0).any()
    motion = np.where(np.arange(20) < 10, 0.0, 5.0)[None].repeat(8, axis=0)
    assert set(np.unique(certain_labels(motion, 0))) == {STATIC, DYNAMIC}


def test_labels_are_certain_away_from_their_borders_and_thresholds():
    motion = np.where(np.arange(20) < 10, 0.0, 5.0)[None].repeat(8, axis=0)
    assert certain_labels(motion, 2)[4].tolist() == ([STATIC] * 8 + [IGNORED] * 4 + [DYNAMIC] * 8)
    almost = np.full((8, 8), 1.01)
    assert (certain_labels(almost, 0) == DYNAMIC).all()
    assert (certain_labels(almost, 2) == IGNORED).all()

"""The picture of an evaluation: rows of what was found, blank where nothing was."""

from __future__ import annotations

from fourd_perception.evaluation.examples import Example
from fourd_perception.viz.answer_sheet import answer_sheet
import numpy as np

IMAGE = np.full((48, 64, 3), 128, np.uint8)
RED = np.array([178, 34, 34])  # firebrick


def whole() -> Example:
    depth = np.linspace(1.0, 9.0, 48)[:, None].repeat(64, axis=1)
    moving = np.zeros((48, 64), bool)
    moving[10:20, 10:20] = True
    return Example('all', IMAGE, depth, moving, np.full((48, 64, 2), 3.0))


def test_a_row_more_makes_the_sheet_higher_and_nothing_known_leaves_it_whiter():
    one, two = answer_sheet([whole()], 'title'), answer_sheet([whole(), Example('x', IMAGE)], '')
    assert one.dtype == np.uint8 and one.shape[2] == 3
    assert two.shape[1] == one.shape[1] and two.shape[0] > one.shape[0]
    bare = answer_sheet([Example('bare', IMAGE)], 'title')
    assert (bare == 255).all(-1).mean() > (one == 255).all(-1).mean() + 0.3


def test_a_notice_is_a_red_band():
    def is_red(sheet: np.ndarray) -> float:
        return float((np.abs(sheet.astype(int) - RED).max(-1) < 10).sum())

    plain, told = (answer_sheet([whole()], 'title', notice) for notice in ('', 'UNTRAINED'))
    assert is_red(told) > is_red(plain) + 500


def test_flows_that_are_to_be_compared_share_the_length_of_full_colour():
    flow = np.full((48, 64, 2), 2.0)
    own, long = (
        answer_sheet([Example('a', IMAGE, flow=flow, longest=longest)], '')
        for longest in (None, 50.0)
    )
    assert np.abs(own.astype(int) - long).max() > 100

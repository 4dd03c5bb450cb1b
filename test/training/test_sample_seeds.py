"""Seeds of samples: none twice, none of evaluation's, and the same however work is divided."""

from __future__ import annotations

from fourd_perception.training.sample_seeds import sample_seeds, share
from fourd_perception.training.schedule import Length, rate_factor
from hypothesis import given, strategies as st
import pytest

COUNTS = st.integers(1, 6)


@given(COUNTS, COUNTS, COUNTS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_ranks_and_groups_divide_the_samples_of_one_process(ranks, groups, size, seed, step):
    batch = ranks * groups * size
    whole = sample_seeds(seed, step, batch, range(batch))
    parts = [r for rank in range(ranks) for r in share(batch, rank, ranks, size)]
    assert all(len(part) == size for part in parts)
    assert sum((sample_seeds(seed, step, batch, part) for part in parts), ()) == whole
    (alone,) = share(batch, 0, 1, None)
    assert alone == range(batch)


@given(st.integers(0, 100), st.integers(0, 10**7), st.integers(1, 500))
def test_no_sample_is_drawn_twice_and_small_seeds_are_left_alone(seed, step, batch):
    steps = [sample_seeds(seed, step + i, batch, range(batch)) for i in range(3)]
    drawn = [s for one in steps for s in one]
    assert len({*drawn}) == len(drawn)
    assert all(2**31 <= s < 2**32 for s in drawn)


def test_trainings_of_different_seeds_draw_different_samples():
    few = [
        {s for step in range(1000) for s in sample_seeds(n, step, 32, range(32))} for n in (0, 1)
    ]
    assert not few[0] & few[1]


def test_what_does_not_divide_is_refused():
    with pytest.raises(ValueError, match='batch 10 is not divisible by 4 processes'):
        share(10, 0, 4, None)
    with pytest.raises(ValueError, match='micro_batch 3 does not divide the 8 samples'):
        share(16, 1, 2, 3)


def test_the_rate_rises_stays_and_falls():
    assert rate_factor(0) == 0
    assert rate_factor(0.015) == pytest.approx(0.5)
    assert rate_factor(0.03) == rate_factor(0.5) == rate_factor(0.79) == 1
    assert rate_factor(0.9) == pytest.approx(0.5)
    assert rate_factor(1) == rate_factor(1.2) == 0


def test_lengths_are_minutes_or_steps():
    assert Length(2.0, None).progress(999, 30.0) == 0.25
    assert Length(None, 10).progress(5, 1e9) == 0.5
    assert [str(x) for x in (Length(2.0, None), Length(None, 10))] == ['2 minutes', '10 steps']

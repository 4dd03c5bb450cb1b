"""Stamps are integers from end to end."""

from fourd_perception.bag.types import BagTypes
from fourd_perception.wire.stamps import header_of, stamp_of, time_of
from hypothesis import given, strategies as st
import numpy as np
import pytest

TYPES = BagTypes()


@given(st.integers(0, (2**31 - 1) * 10**9 + 999_999_999))
def test_every_stamp_comes_back_to_the_nanosecond(stamp):
    assert stamp_of(header_of(TYPES, stamp, 'camera')) == stamp


def test_a_float_is_no_stamp_and_a_numpy_integer_is():
    with pytest.raises(TypeError):
        time_of(TYPES, 1.5e18)
    time = time_of(TYPES, np.int64(1_700_000_000_123_456_789))
    assert (time.sec, time.nanosec) == (1_700_000_000, 123_456_789)
    assert type(time.sec) is int


def test_a_stamp_that_a_message_cannot_hold_is_refused_with_the_limit():
    for stamp in (-1, 2**31 * 10**9):
        with pytest.raises(ValueError, match='2147483647'):
            time_of(TYPES, stamp)

"""The contract of the synchroniser over random streams; `soak.py` runs very many more of them."""

from __future__ import annotations

from fourd_perception.grid.frame import Frame, TimeSlice
from fourd_perception.grid.synchroniser import SyncSettings
from hypothesis import assume, given, settings, strategies as st
from streams import Arrival, Exposure, FIRST_STAMP, MS, random_plan, StreamPlan
from walk import check_everything, Walk, walk_through

plans = st.randoms(use_true_random=False).map(random_plan)
# Without jumps of time: those drop slices that were due, unless a poll has fetched them before.
steady_plans = plans.filter(lambda p: p.truthful and not p.loop and not p.clock_fault)


def members(slices: list[TimeSlice]) -> list[list[int | None]]:
    """Stamps of each slice, the reference first."""
    return [
        [s.stamp - FIRST_STAMP, *(f and f.stamp - FIRST_STAMP for f in s.frames)] for s in slices
    ]


@settings(max_examples=150)
@given(plans)
def test_a_rig_in_trouble(plan: StreamPlan):
    """Every property of `walk.py`: the tolerance, no mixed triggers, no frame twice, the counters.

    And a full slice of each trigger in time; and slices again after everything has calmed down.
    """
    check_everything(plan)


@settings(max_examples=30)
@given(steady_plans, st.integers(5, 40))
def test_polling_changes_nothing(plan: StreamPlan, poll_every: int):
    """Slices and counters depend on the frames and their times alone."""
    plain, polled = walk_through(plan), walk_through(plan, poll_every * MS)
    assume(plain.jumps == 0)
    assert members(polled.slices) == members(plain.slices)
    assert polled.events == plain.events
    for camera in plan.names:
        assert polled.ledger.counts(camera) == plain.ledger.counts(camera)


# Anything at all: no camera behaves like this, but nothing may break.

frames = st.tuples(
    st.sampled_from('abc'), st.integers(0, 1200), st.sampled_from([0, 0, 1, 7, 40, 300, -50])
)
steps = st.one_of(frames, frames, frames, st.integers(-200, 700), st.just('clear'))


@settings(max_examples=300)
@given(st.lists(steps, max_size=60), st.integers(1, 3))
def test_anything_at_all(sequence, min_cameras):
    """Frames with any stamps, a clock that goes anywhere, and clears in between."""
    walk = Walk('abc', SyncSettings(min_cameras=min_cameras))
    now = 0
    for step in sequence:
        if step == 'clear':
            walk.clear()
        elif isinstance(step, int):
            now += step * MS
            walk.poll(now)
        else:
            camera, stamp, later = step
            now += later * MS
            frame = Frame(camera, FIRST_STAMP + stamp * MS, Exposure(stamp, trigger=None))
            walk.deliver(Arrival(now, frame))
    walk.fall_silent(now)

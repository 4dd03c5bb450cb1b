"""Random numbers by seed and name."""

from __future__ import annotations

from fourd_perception.synthetic.generator.draws import Draws
from hypothesis import given, strategies as st
import numpy as np


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6), st.text(max_size=8))
def test_a_draw_depends_on_seed_and_name_alone(seeds, name):
    draws = Draws.of(seeds)
    together = draws.uniform(name, -2, 3, (4, 2))
    for place, seed in enumerate(seeds):
        assert np.array_equal(Draws.of([seed]).uniform(name, -2, 3, (4, 2))[0], together[place])
    assert np.array_equal(draws.of_clips(slice(0, 1)).uniform(name, -2, 3, (4, 2)), together[:1])
    assert together.min() >= -2 and together.max() < 3
    # A longer draw begins like a shorter one of the name; another name or part is another draw.
    assert np.array_equal(draws.uniform(name, -2, 3, (2, 2)), together[:, :2])
    assert not np.array_equal(draws.uniform(name + 'x', -2, 3, (4, 2)), together)
    assert not np.array_equal(draws.within('part').uniform(name, -2, 3, (4, 2)), together)


def test_draws_are_even_and_of_neighbouring_seeds_unrelated():
    draws = Draws.of(range(2000))
    values = draws.uniform('a', shape=(50,))
    assert abs(values.mean() - 0.5) < 0.005 and abs(values.var() - 1 / 12) < 0.002
    counts = np.histogram(values, 20, (0, 1))[0]
    assert np.abs(counts / values.size - 0.05).max() < 0.003
    for other in (values[1:, :], draws.uniform('b', shape=(50,))[:-1]):
        assert abs(np.corrcoef(values[:-1].ravel(), other.ravel())[0, 1]) < 0.015
    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.015


def test_kinds_of_draws():
    draws = Draws.of(range(4000))
    assert abs(draws.chance('c', 0.3).mean() - 0.3) < 0.03
    shares = np.bincount(draws.choice('k', (1, 0, 3)), minlength=3) / 4000
    assert shares[1] == 0 and abs(shares[2] - 0.75) < 0.03
    assert set(draws.index('i', 3)) == {0, 1, 2}
    lengths = draws.log_uniform('l', 0.1, 10)
    assert 0.1 <= lengths.min() and lengths.max() <= 10 and abs((lengths < 1).mean() - 0.5) < 0.03

"""What all tests share: numbers of threads and of examples that suit a machine of two cores."""

from __future__ import annotations

from dataclasses import replace
import os
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

from hypothesis import settings
import pytest

# A busy machine is slow at times; that is no failure of the property under test.
settings.register_profile('fourd', deadline=None, print_blob=True)
settings.load_profile('fourd')


@pytest.fixture(scope='session')
def room_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with its truth: four small cameras, one upright, 5 s at 10 Hz."""
    from fourd_perception.bag.synthetic_bag import write_synthetic
    from fourd_perception.synthetic.recording import make_recording

    made = make_recording('room', cameras=4, seconds=5.0, rate=10.0)
    halves = {n: c.resized(c.width // 2, c.height // 2) for n, c in made.cameras.items()}
    path = tmp_path_factory.mktemp('recordings') / 'room'
    write_synthetic(replace(made, cameras=halves), path)
    return path

"""Lets the tests of motion share their streams and references, and those of the networks."""

from pathlib import Path
import sys

for room in ('motion', 'model'):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))

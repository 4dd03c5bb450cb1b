"""Lets the tests of training share their toy task and clips."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))

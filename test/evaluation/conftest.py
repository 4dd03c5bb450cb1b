"""Lets the tests of evaluation share their clips."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))

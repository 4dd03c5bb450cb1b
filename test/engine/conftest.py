"""Lets the tests of the engine share how they drive it."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))

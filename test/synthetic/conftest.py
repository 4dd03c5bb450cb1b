"""Modules beside the tests of this room are found as in any folder of plain scripts."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))

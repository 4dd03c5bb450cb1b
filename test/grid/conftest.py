"""Lets the tests of the grid share their streams and checks with the soak."""

from pathlib import Path
import sys

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite('walk')

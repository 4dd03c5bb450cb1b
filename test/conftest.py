"""What all tests share: numbers of threads and of examples that suit a machine of two cores."""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

from hypothesis import settings

# A busy machine is slow at times; that is no failure of the property under test.
settings.register_profile('fourd', deadline=None, print_blob=True)
settings.load_profile('fourd')
